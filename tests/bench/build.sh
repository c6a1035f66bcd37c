#!/bin/bash
# Builds beside podman's: 20 trivial RUN steps cold, the same again from the cache, one change in 50 steps, a context of
# 100,000 files of which 95 % are ignored. With DEBIAN (an image both have) also whole builds that take packages from its
# mirror: 30 packages with a cache mount, a C project in two stages, a Node app (with NPM=1 its packages come from npm's registry;
# CA is a file of certificates for it). Run as the user who builds; KELP names the binary, BASE an image both have.
set -euo pipefail
kelp=${KELP:-kelp} podman=${PODMAN:-podman} base=${BASE:-busybox} rounds=${ROUNDS:-3}
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT

time_of() { # median of the rounds, in milliseconds; $1 is done before each, unmeasured
    local before=$1 times=() start end; shift
    for _ in $(seq "$rounds"); do
        eval "$before" >/dev/null 2>&1 || true
        start=$(date +%s%N); "$@" >/dev/null 2>"$dir/err" || { cat "$dir/err" >&2; exit 1; }; end=$(date +%s%N)
        times+=($(((end - start) / 1000000)))
    done
    printf '%s\n' "${times[@]}" | sort -n | sed -n "$((rounds / 2 + 1))p"
}
row() { printf '%-44s %8s ms' "$1" "$2"; [ -n "${3-}" ] && printf ' %8s ms  %6sx' "$3" "$(awk "BEGIN { printf \"%.1f\", $3 / ($2 ? $2 : 1) }")"; echo; }
both() { # name, what to do before (kelp, podman), directory
    local ours theirs=
    ours=$(time_of "$2" $kelp build -q -t bench "$4")
    if command -v ${podman%% *} >/dev/null; then theirs=$(time_of "$3" $podman build -q -t bench "$4"); fi
    row "$1" "$ours" "$theirs"
}

mkdir "$dir/run20" "$dir/run50" "$dir/big"
{ echo "FROM $base"; for i in $(seq 20); do echo "RUN echo $i > /f$i"; done; } > "$dir/run20/Dockerfile"
{ echo "FROM $base"; for i in $(seq 25); do echo "RUN echo $i > /f$i"; done; echo "COPY source /source"
  for i in $(seq 26 50); do echo "RUN cat /source > /f$i"; done; } > "$dir/run50/Dockerfile"
both "20 RUN steps, cold" "$kelp builder prune -af; $kelp rmi -f bench" "$podman rmi -f bench; $podman image prune -f" "$dir/run20"
both "20 RUN steps, cached" true true "$dir/run20"
date > "$dir/run50/source"; $kelp build -q -t bench "$dir/run50" >/dev/null
both "50 steps, one changed file in the middle" "date +%N > $dir/run50/source" "date +%N > $dir/run50/source" "$dir/run50"
for d in $(seq 100); do mkdir -p "$dir/big/ignored/$d"; (cd "$dir/big/ignored/$d"; for i in $(seq 950); do : > $i; done); done
for d in $(seq 10); do mkdir -p "$dir/big/kept/$d"; (cd "$dir/big/kept/$d"; for i in $(seq 500); do echo "$i" > $i; done); done
echo ignored > "$dir/big/.dockerignore"; printf 'FROM scratch\nCOPY . /\n' > "$dir/big/Dockerfile"
both "100,000 files, 95 % ignored, cached" true true "$dir/big"

[ -n "${DEBIAN-}" ] || exit 0
whole() { # name, directory, flags of both: cold (cache mounts stay), then all from the cache
    local ours theirs= name=$1 dir=$2; shift 2
    ours=$(time_of true $kelp build -q --no-cache -t "bench-$name" "$@" "$dir")
    theirs=$(time_of true $podman build -q --no-cache -t "bench-$name" "$@" "$dir")
    row "$name, cold" "$ours" "$theirs"
    ours=$(time_of true $kelp build -q -t "bench-$name" "$@" "$dir")
    theirs=$(time_of true $podman build -q -t "bench-$name" "$@" "$dir")
    row "$name, cached" "$ours" "$theirs"
}
mkdir -p "$dir/packages" "$dir/c/src" "$dir/node"
cat > "$dir/packages/Dockerfile" <<EOF
FROM $DEBIAN
RUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt \\
    rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \\
    make gcc libc6-dev nodejs npm git curl wget less vim-tiny nano rsync zip unzip bzip2 xz-utils zstd jq file patch procps psmisc \\
    iproute2 iputils-ping dnsutils net-tools lsof strace tree bc
EOF
$kelp build -q -t bench-packages "$dir/packages" >/dev/null; $podman build -q -t bench-packages "$dir/packages" >/dev/null
whole packages "$dir/packages"
for i in $(seq 80); do printf 'int f%s(int x) { int s = 0; for (int i = 0; i < x; i++) s += i * %s; return s; }\n' "$i" "$i" > "$dir/c/src/f$i.c"; done
echo 'int f1(int); int main(void) { return f1(0); }' > "$dir/c/src/main.c"
printf 'OBJ := $(patsubst %%.c,%%.o,$(wildcard src/*.c))\nprogram: $(OBJ)\n\tgcc -static -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\n' > "$dir/c/Makefile"
printf 'FROM bench-packages AS build\nWORKDIR /src\nCOPY . .\nRUN make -j2\nRUN ./program\nFROM scratch\nCOPY --from=build /src/program /program\n' > "$dir/c/Dockerfile"
whole c "$dir/c"
deps=; flags=
[ -z "${NPM-}" ] || { deps='"express": "^4.19.0"'; [ -z "${CA-}" ] || flags="--secret id=ca,src=$CA"; }
echo "{\"name\": \"app\", \"version\": \"1.0.0\", \"dependencies\": {$deps}}" > "$dir/node/package.json"
echo 'console.log("up")' > "$dir/node/server.js"
cat > "$dir/node/Dockerfile" <<'EOF'
FROM bench-packages
WORKDIR /app
COPY package.json .
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=ca \
    if [ -e /run/secrets/ca ]; then export NPM_CONFIG_CAFILE=/run/secrets/ca; fi; npm install --no-audit --no-fund --prefer-offline
COPY . .
RUN node server.js
CMD ["node", "server.js"]
EOF
whole node "$dir/node" $flags
