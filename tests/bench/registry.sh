#!/bin/bash
# Pull and push against a registry on loopback: kelp, podman, skopeo, and `curl | zcat | tar x` for one layer.
#
#   KELP=target/…/release/kelp tests/bench/registry.sh [DEBIAN.tar]
#
# Run as the ordinary user. Needs docker-registry, curl, zstd; podman and skopeo are left out where they are missing. Everything
# is below a temporary directory (4 GB) that goes away. RUNS (default 3) says how often; the best counts.
set -euo pipefail
kelp=${KELP:?the program to measure}
debian=${1-}
runs=${RUNS-3}
work=$(mktemp -d "${BENCH_DIR:-/tmp}/kelp-bench.XXXXXX")
port=${PORT-5719}
export HOME=$work/home XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config
mkdir -p "$HOME" "$work/reg"
registry=
finish() {
    [ ! -e "$work/empty.pid" ] || kill "$(cat "$work/empty.pid")" 2>/dev/null || true
    kill $(jobs -p) 2>/dev/null || true
    "$kelp" rmi -af >/dev/null 2>&1 || true
    chmod -R u+rwX "$work" 2>/dev/null || true
    unshare -r -U --map-auto rm -rf "$work" ${runroot-} 2>/dev/null || rm -rf "$work" ${runroot-}
}
trap finish EXIT
cat >"$work/reg.yml" <<EOF
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/reg}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
EOF
docker-registry serve "$work/reg.yml" >"$work/reg.log" 2>&1 &
registry=$!
until curl -sf "http://127.0.0.1:$port/v2/" >/dev/null; do sleep 0.1; done
host=127.0.0.1:$port

# Seconds of the best run; PREPARE runs before each, unmeasured.
best() {
    local prepare=$1 least=999999 start end i
    shift
    for ((i = 0; i < runs; i++)); do
        eval "$prepare" >/dev/null 2>&1 || true
        start=$(date +%s%N)
        "$@" >/dev/null 2>"$work/err" || { cat "$work/err" >&2; echo fails; return; }
        end=$(date +%s%N)
        [ $(((end - start) / 1000000)) -ge $least ] || least=$(((end - start) / 1000000))
    done
    echo "$((least / 1000)).$(printf %03d $((least % 1000)))"
}

# podman wants a short path here.
runroot=$(mktemp -d /tmp/kb.XXXXXX)
podman() { command podman --runtime runc --root "$work/podman" --runroot "$runroot" "$@"; }
row() { printf '%-28s %8s %8s %8s %8s\n' "$@"; }

# 1: Debian. 2: ten layers, 1 GB: half of each compresses. 3: many small files.
mkdir "$work/make"
cd "$work/make"
if [ -n "$debian" ]; then "$kelp" import "$debian" debian:1 >/dev/null; fi
python3 - <<'EOF'
import hashlib, io, json, os, random, tarfile
layers = []
rng = random.Random(1)
words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz _(){}", k=9)) for _ in range(4000)]
for n in range(10):
    name = f"{n}.tar"
    with tarfile.open(name, "w") as tar:
        for f in range(50):
            data = rng.randbytes(1 << 20) if f % 2 else b"".join(rng.choices(words, k=(2 << 20) // 9 + 110000))[: 3 << 20]
            info = tarfile.TarInfo(f"layer{n}/file{f}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    layers.append(name)
diff = [("sha256:" + hashlib.sha256(open(l, "rb").read()).hexdigest()) for l in layers]
config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff}})
open("config.json", "w").write(config)
open("manifest.json", "w").write(json.dumps([{"Config": "config.json", "RepoTags": ["ten:1"], "Layers": layers}]))
with tarfile.open("many-files.tar", "w") as tar:
    for n in range(100000):
        data = rng.choice(words) * rng.randint(1, 60)
        info = tarfile.TarInfo(f"d{n // 1000}/s{n // 100 % 10}/f{n}")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
EOF
tar -cf ten-layers.tar config.json manifest.json [0-9].tar
"$kelp" load -qi ten-layers.tar >/dev/null
"$kelp" import many-files.tar many:1 >/dev/null
cd /
rm -rf "$work/make"

echo "push, seconds (gzip made on the way, to an empty registry)"
row image kelp podman "" ""
images="ten many"
[ -z "$debian" ] || images="debian $images"
# Each measurement runs in a subshell: the registry before it is known by a file.
end_empty() {
    [ -e "$work/empty.pid" ] || return 0
    kill "$(cat "$work/empty.pid")" || true
    rm "$work/empty.pid"
    while curl -s "http://127.0.0.1:$((port + 1))/v2/" >/dev/null; do sleep 0.05; done
}
fresh() {
    end_empty
    rm -rf "$work/empty"
    sed "s,$work/reg}, $work/empty},; s,:$port,:$((port + 1))," "$work/reg.yml" >"$work/empty.yml"
    docker-registry serve "$work/empty.yml" >/dev/null 2>&1 &
    echo $! >"$work/empty.pid"
    until curl -sf "http://127.0.0.1:$((port + 1))/v2/" >/dev/null; do sleep 0.1; done
}
for image in $images; do
    target=127.0.0.1:$((port + 1))/$image:1
    k=$(best fresh "$kelp" push -q "$image:1" "$target")
    p=-
    if command -v podman >/dev/null; then
        "$kelp" save -o "$work/image.tar" "$image:1"
        podman load -qi "$work/image.tar" >/dev/null 2>&1
        rm -f "$work/image.tar"
        p=$(best fresh podman push -q --tls-verify=false "docker.io/library/$image:1" "$target")
    fi
    for format in gzip zstd; do "$kelp" push -q --compression-format $format "$image:1" "$host/$image:$format" >/dev/null; done
    row "$image" "$k" "$p" "" ""
done
end_empty

echo
echo "pull, seconds"
row image kelp podman skopeo "curl|tar"
for image in $images; do
    for format in gzip zstd; do
        name=$host/$image:$format
        "$kelp" rmi -f "$image:1" "$name" >/dev/null 2>&1 || true
        k=$(best "'$kelp' rmi -af; '$kelp' gc" "$kelp" pull -q "$name")
        p=- s=- c=-
        if command -v podman >/dev/null; then
            p=$(best "podman rmi -af" podman pull -q --tls-verify=false "$name")
        fi
        if command -v skopeo >/dev/null; then
            s=$(best "rm -rf '$work/skopeo'" skopeo copy -q --src-tls-verify=false "docker://$name" "dir:$work/skopeo")
        fi
        layers=$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$host/v2/$image/manifests/$format" |
            python3 -c 'import json,sys; print(*[l["digest"] for l in json.load(sys.stdin)["layers"]])')
        if [ "$(wc -w <<<"$layers")" = 1 ]; then
            cat=zcat; [ $format = gzip ] || cat=zstdcat
            c=$(best "rm -rf '$work/tree'; mkdir '$work/tree'" bash -c "curl -s http://$host/v2/$image/blobs/$layers | $cat |
                tar x -C '$work/tree' --no-same-owner --exclude='dev/*'")
            rm -rf "$work/tree"
        fi
        row "$image $format" "$k" "$p" "$s" "$c"
    done
done
