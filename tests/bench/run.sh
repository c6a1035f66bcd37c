#!/bin/bash
# kelp beside podman (and bubblewrap) on this machine, in one run: medians and ratios. See README.md here.
#
#   tests/bench/run.sh [--rounds N] [CASE...]
#
# KELP_BENCH_BIN   the kelp to measure; else the release build is made
# KELP_BENCH_PODMAN  how podman is called; "podman --runtime runc" unless said, empty to leave it out
# KELP_TEST_DEBIAN a tar of a Debian tree for `load`; else the one contrib/test keeps
set -euo pipefail
cd "$(dirname "$0")/../.."

CASES=(none default detached exec ps crowd logs load cp port network bridge hundreds memory)
rounds=15
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "unknown option $1" >&2; exit 2 ;;
        *) break ;;
    esac
    shift
done
[ $# -eq 0 ] || CASES=("$@")

# The binary, then an ordinary user: the one of contrib/test when root calls.
if [ -z "${KELP_BENCH_BIN-}" ]; then
    cargo build --release --quiet
    KELP_BENCH_BIN=$(ls -t target/*/release/kelp target/release/kelp 2>/dev/null | head -n 1)
    KELP_BENCH_BIN=$(realpath "$KELP_BENCH_BIN")
fi
export KELP_BENCH_BIN
if [ "$(id -u)" = 0 ]; then
    id kelp-test >/dev/null 2>&1 || { echo "run contrib/test once as root, it makes the user kelp-test" >&2; exit 1; }
    install -d -m 0700 -o kelp-test -g kelp-test /run/kelp-test
    [ -n "${KELP_TEST_DEBIAN-}" ] || export KELP_TEST_DEBIAN=/var/cache/kelp-test/debian-bookworm.tar
    KELP_TEST_USER=kelp-test KELP_TEST_RUNTIME=/run/kelp-test exec contrib/test --as-test-user \
        bash tests/bench/run.sh --rounds "$rounds" "${CASES[@]}"
fi

read -r -a podman <<<"${KELP_BENCH_PODMAN-podman --runtime runc}"
[ ${#podman[@]} -gt 0 ] && command -v "${podman[0]}" >/dev/null || podman=()
[ -n "${KELP_TEST_DEBIAN-}" ] || KELP_TEST_DEBIAN=${XDG_CACHE_HOME:-$HOME/.cache}/kelp-test/debian-bookworm.tar

# A home for this run only.
dir=$(mktemp -d "${TMPDIR:-/var/tmp}/kelp-bench.XXXXXX")
mkdir -m 700 "$dir/run" "$dir/home"
export HOME=$dir/home XDG_RUNTIME_DIR=$dir/run
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME DBUS_SESSION_BUS_ADDRESS
mkdir -p "$HOME/.config/containers"
cd "$dir"
cleanup() {
    for t in "${tools[@]}"; do $t rm -a -f -t 0 >/dev/null 2>&1 || true; done
    [ ${#podman[@]} -eq 0 ] || pm system migrate >/dev/null 2>&1 || true
    cd /
    unshare --user --map-auto --map-root-user rm -rf "$dir" 2>/dev/null || rm -rf "$dir" || true
}
trap cleanup EXIT

k() { "$KELP_BENCH_BIN" "$@"; }
pm() { "${podman[@]}" --events-backend none "$@" 2>/dev/null; }
tools=(k)
[ ${#podman[@]} -eq 0 ] || tools+=(pm)

# The image: busybox, from a plain tar both tools import.
mkdir -p root/bin root/etc root/dev root/proc root/sys root/tmp
cp /bin/busybox root/bin/
for applet in sh true sleep seq nc cat; do ln -s busybox root/bin/$applet; done
seq 1 1000000 >root/lines
echo 'root:x:0:0:root:/root:/bin/sh' >root/etc/passwd
tar -C root --owner 0 --group 0 -cf root.tar .
for t in "${tools[@]}"; do $t import root.tar localhost/bench:1 >/dev/null; done
IMG=localhost/bench:1

now() { echo "${EPOCHREALTIME/./}"; }
# Milliseconds of one command, into $ms.
timed() {
    local from to
    from=${EPOCHREALTIME/./}
    "$@" >/dev/null
    to=${EPOCHREALTIME/./}
    us=$((to - from))
    echo "$us" >>"$samples"
}
median() { sort -n "$1" | awk '{v[NR]=$1} END {if (NR) printf "%d", (v[int((NR+1)/2)] + v[int(NR/2)+1]) / 2}'; }
ms() { awk -v us="$1" 'BEGIN {printf us < 100000 ? "%.1f" : "%.0f", us / 1000}'; }

printf '%-34s %12s %12s %9s %8s\n' case kelp podman ratio goal
# row NAME GOAL: from the samples kelp.NAME and pm.NAME.
row() {
    local a b ratio=- pod=-
    a=$(median "k.$1")
    if [ -s "pm.$1" ]; then
        b=$(median "pm.$1")
        pod="$(ms "$b") ms"
        ratio=$(awk -v a="$a" -v b="$b" 'BEGIN {printf "%.1fx", b / a}')
    fi
    printf '%-34s %12s %12s %9s %8s\n' "$2" "$(ms "$a") ms" "$pod" "$ratio" "$3"
}
# each NAME ROUNDS FUNCTION: the function once per tool and round, the tools in turn.
each() {
    local name=$1 count=$2 round t
    shift 2
    for t in "${tools[@]}"; do samples=/dev/null; "$@" "$t"; done # warm
    for ((round = 0; round < count; round++)); do
        for t in "${tools[@]}"; do samples=$dir/$t.$name; "$@" "$t"; done
    done
}

c_none() { timed $1 run --rm --network none $IMG true; }
bench_none() {
    each none "$rounds" c_none
    row none 'run --rm --network none' '>= 10x'
    command -v bwrap >/dev/null || return 0
    samples=$dir/bw.none
    for ((i = 0; i < rounds; i++)); do
        timed bwrap --unshare-all --bind root / --proc /proc --dev /dev true
    done
    a=$(median k.none) b=$(median bw.none)
    printf '%-34s %12s %12s %9s %8s\n' '  (bwrap --unshare-all)' "$(ms "$a") ms" "$(ms "$b") ms" "$(awk -v a="$a" -v b="$b" 'BEGIN {printf "1/%.1f", a / b}')" '<= 1/3'
}

c_default() { timed $1 run --rm $IMG true; }
bench_default() { each default "$rounds" c_default; row default 'run --rm (default network)' '>= 8x'; }

two() { $1 run -d --name both $IMG sleep 100 >/dev/null; $1 rm -f -t 0 both; }
c_detached() { timed two $1; }
bench_detached() { each detached "$rounds" c_detached; row detached 'run -d + rm -f -t 0' '>= 8x'; }

c_exec() { timed $1 exec target true; }
bench_exec() {
    for t in "${tools[@]}"; do $t run -d --name target --network none $IMG sleep 1000 >/dev/null; done
    each exec "$rounds" c_exec
    for t in "${tools[@]}"; do $t rm -f -t 0 target >/dev/null; done
    row exec 'exec C true' '>= 15x'
}

c_ps() { timed $1 ps -a; }
bench_ps() {
    for t in "${tools[@]}"; do for ((i = 0; i < 100; i++)); do $t create --network none $IMG true >/dev/null; done; done
    each ps "$rounds" c_ps
    for t in "${tools[@]}"; do $t rm -a -f -t 0 >/dev/null; done
    row ps 'ps -a with 100 containers' '>= 10x'
}

thirty() { for ((i = 0; i < 30; i++)); do $1 run -d --network none $IMG sleep 100 >/dev/null & done; wait; }
c_crowd() { timed thirty $1; $1 rm -a -f -t 0 >/dev/null; }
bench_crowd() { each crowd $((rounds / 5 + 1)) c_crowd; row crowd '30 run -d at once' '>= 8x'; }

c_write() { $1 rm -f -t 0 talker >/dev/null 2>&1 || true; timed $1 run --name talker --network none $IMG cat /lines; }
c_read() { timed $1 logs talker; }
bench_logs() {
    each write 3 c_write
    each read 3 c_read
    for t in "${tools[@]}"; do $t rm -f -t 0 talker >/dev/null; done
    row write 'a million log lines written' '>= 2x'
    row read 'a million log lines read' '>= 20x'
}

# Each time into a store of its own: a file system may be slow to reuse what was just deleted (ext4 without a journal is).
c_load() { timed $1 --root "$dir/$1.load.${round-warm}" load -q -i debian-archive.tar; }
bench_load() {
    [ -r "$KELP_TEST_DEBIAN" ] || { echo "load: no KELP_TEST_DEBIAN" >&2; return 0; }
    # docker's archive, written here: one layer, its configuration, a manifest.
    local id
    id=$(sha256sum <"$KELP_TEST_DEBIAN" | cut -d' ' -f1)
    mkdir archive && ln "$KELP_TEST_DEBIAN" archive/layer.tar 2>/dev/null || cp "$KELP_TEST_DEBIAN" archive/layer.tar
    echo '{"architecture":"amd64","os":"linux","config":{"Cmd":["bash"]},"rootfs":{"type":"layers","diff_ids":["sha256:'"$id"'"]},"history":[{}]}' >archive/config.json
    echo '[{"Config":"config.json","RepoTags":["localhost/bench-debian:1"],"Layers":["layer.tar"]}]' >archive/manifest.json
    tar -C archive -cf debian-archive.tar manifest.json config.json layer.tar
    rm -r archive
    each load 3 c_load
    row load "load of $(($(stat -c %s debian-archive.tar) / 1000000)) MB of Debian" '>= 4x'
}

c_in() { timed $1 cp big target:/big; }
c_out() { timed $1 cp target:/big out; rm -f out; }
bench_cp() {
    head -c 100M /dev/urandom >big
    for t in "${tools[@]}"; do $t run -d --name target --network none $IMG sleep 1000 >/dev/null; done
    each in 5 c_in
    each out 5 c_out
    for t in "${tools[@]}"; do $t rm -f -t 0 target >/dev/null; done
    row in 'cp of 100 MB in' '>= 3x'
    row out 'cp of 100 MB out' '>= 3x'
}

# Both ends with large buffers: with those of nc (1 KiB) the ends take longer than what is measured.
push() { dd if=/dev/zero bs=1M count=1024 status=none >/dev/tcp/127.0.0.1/28734; $1 wait sink; }
c_port() {
    $1 run -d --name sink -p 127.0.0.1:28734:80 $IMG nc -l -p 80 -e sh -c 'cat >/dev/null' >/dev/null
    sleep 0.5
    timed push $1
    $1 rm -f -t 0 sink >/dev/null
}
bench_port() { each port 3 c_port; row port '1 GB through a published port' '>= 2x'; }

# On a user network: the first container of it (the holder starts and leaves with it), and one more.
c_first() { timed $1 run --rm --network bench $IMG true; [ "$1" = pm ] || while pgrep -u "$UID" -f __holder >/dev/null; do sleep 0.05; done; }
c_next() { timed $1 run --rm --network bench $IMG true; }
bench_network() {
    for t in "${tools[@]}"; do $t network create bench >/dev/null; done
    each first "$rounds" c_first
    for t in "${tools[@]}"; do $t run -d --name stays --network bench $IMG sleep 1000 >/dev/null; done
    each next "$rounds" c_next
    for t in "${tools[@]}"; do $t rm -f -t 0 stays >/dev/null; $t network rm bench >/dev/null; done
    row first 'first on a user network' '>= 12x'
    row next 'one more on a user network' '>= 12x'
}

# Gbit/s of iperf3 for 5 s between two network namespaces, by the pids of processes in them; $3 is the server's address.
between() {
    local enter="nsenter --preserve-credentials -U -n -t"
    $enter "$1" iperf3 -s -1 -D >/dev/null
    sleep 0.3
    $enter "$2" iperf3 -c "$3" -t 5 -J | awk -F'[:,]' '/"sum_received"/ {on = 1} on && /bits_per_second/ {printf "%.1f", $2 / 1e9; exit}'
}
# The same with nothing but a bridge and two veth pairs.
plain_bridge() {
    unshare --user --map-root-user --net sh -c '
        ip link add br0 type bridge && ip link set br0 mtu 65520 up
        for n in 1 2; do
            unshare --net sleep 30 & eval p$n=$!; sleep 0.2
            eval p=\$p$n
            ip link add v$n mtu 65520 master br0 up type veth peer name eth0 mtu 65520 netns $p
            nsenter -t $p -n sh -c "ip link set lo up; ip link set eth0 up; ip addr add 10.9.9.$n/24 dev eth0"
        done
        nsenter -t $p1 -n iperf3 -s -1 -D >/dev/null; sleep 0.3
        nsenter -t $p2 -n iperf3 -c 10.9.9.1 -t 5 -J; kill $p1 $p2' | awk -F'[:,]' '/"sum_received"/ {on = 1} on && /bits_per_second/ {printf "%.1f", $2 / 1e9; exit}'
}
bench_bridge() {
    command -v iperf3 >/dev/null && command -v ip >/dev/null || { echo "bridge: no iperf3 or ip" >&2; return 0; }
    local plain ours theirs=-
    plain=$(plain_bridge)
    k network create bench >/dev/null
    for name in one two; do k run -d --name $name --network bench $IMG sleep 1000 >/dev/null; done
    ours=$(between "$(k inspect -f '{{.State.Pid}}' one)" "$(k inspect -f '{{.State.Pid}}' two)" "$(k inspect -f '{{(index .NetworkSettings.Networks "bench").IPAddress}}' one)")
    k rm -f -t 0 one two >/dev/null
    k network rm bench >/dev/null
    printf '%-34s %12s %12s %9s %8s\n' 'container to container (plain)' "$ours Gbit/s" "$plain Gbit/s" "$(awk -v a="$ours" -v b="$plain" 'BEGIN {printf "%.2f", a / b}')" '>= 0.9'
}

bench_hundreds() {
    local from to count=200 holder
    k network create bench >/dev/null
    from=${EPOCHREALTIME/./}
    for ((i = 1; i <= count; i++)); do k run -d --name "c$i" --network bench $IMG sleep 1000 >/dev/null; done
    to=${EPOCHREALTIME/./}
    holder=$(pgrep -u "$UID" -f __holder)
    printf '%-34s %12s\n' "$count containers on one network" "$(ms $(((to - from) / count))) ms each"
    printf '%-34s %12s\n' '  private memory of the holder' "$(echo "$holder" | private) KiB"
    from=${EPOCHREALTIME/./}
    for ((i = 1; i <= 20; i++)); do k exec "c$i" nc -w 1 "c$((count - i))" 1 </dev/null >/dev/null 2>&1 || true; done
    to=${EPOCHREALTIME/./}
    printf '%-34s %12s\n' '  exec with a name looked up' "$(ms $(((to - from) / 20))) ms"
    from=${EPOCHREALTIME/./}
    k rm -a -f -t 0 >/dev/null
    to=${EPOCHREALTIME/./}
    printf '%-34s %12s\n' '  all removed' "$(ms $((to - from))) ms"
    k network rm bench >/dev/null
}

# Processes of this user outside any container, one pid a line.
outside() {
    local own pid
    own=$(readlink /proc/self/ns/pid)
    for pid in /proc/[0-9]*; do
        if [ "$(readlink "$pid/ns/pid")" = "$own" ] && grep -qs "^Uid:[[:space:]]$UID[[:space:]]" "$pid/status"; then echo "${pid#/proc/}"; fi
    done 2>/dev/null | sort
}
private() { # KiB of Private_* of the pids on stdin, those that have ended since left out
    local pid sum=0 part
    while read -r pid; do
        [ -e "/proc/$pid/smaps_rollup" ] || continue
        part=$(awk '/^Private_/ {s += $2} END {print s + 0}' "/proc/$pid/smaps_rollup" 2>/dev/null || echo "?")
        echo "    $part KiB $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-60)" >>"$dir/memory.detail"
        [ "$part" = "?" ] || sum=$((sum + part))
    done
    echo $sum
}
bench_memory() {
    local t first second name
    for name in default port; do
        for t in "${tools[@]}"; do
            # One more of a kind: what processes of the same program share is counted with the first.
            first=() second=()
            [ $name = default ] || first=(-p 127.0.0.1:28734:80) second=(-p 127.0.0.1:28735:80)
            $t run -d --name first "${first[@]}" $IMG sleep 1000 >/dev/null
            sleep 0.5
            outside >before
            $t run -d --name second "${second[@]}" $IMG sleep 1000 >/dev/null
            sleep 1.5
            outside >after
            echo "  $t, $name:" >>memory.detail
            comm -13 before after | private >"$t.mem.$name"
            $t rm -f -t 0 first second >/dev/null
        done
        a=$(cat k.mem.$name) b=$(cat pm.mem.$name 2>/dev/null || echo 0)
        [ $name = default ] && goal='<= 717' || goal='<= 819'
        printf '%-34s %12s %12s %9s %8s\n' "memory of one more, $name" "$a KiB" "$b KiB" "$(awk -v a="$a" -v b="$b" 'BEGIN {if (a) printf "%.1fx", b / a; else print "-"}')" "$goal"
    done
    cat memory.detail
}

for name in "${CASES[@]}"; do
    declare -F "bench_$name" >/dev/null || { echo "no such case: $name" >&2; exit 2; }
    "bench_$name"
done
