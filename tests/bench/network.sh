#!/bin/bash
# Ports, ways out and names: kelp beside podman, pasta and plain loopback on this machine, in one run. See README.md here.
#
#   tests/bench/network.sh [--rounds N] [--seconds N] [--connections N]
#
# Needs wrk, iperf3, nginx and perl. KELP_BENCH_BIN and KELP_BENCH_PODMAN are as for run.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

rounds=3 seconds=3 connections=32
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=$2; shift ;;
        --seconds) seconds=$2; shift ;;
        --connections) connections=$2; shift ;;
        --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "unknown argument $1" >&2; exit 2 ;;
    esac
    shift
done
PATH=$PATH:/usr/sbin
for program in wrk iperf3 nginx perl; do command -v $program >/dev/null || { echo "$program is not installed" >&2; exit 1; }; done

if [ -z "${KELP_BENCH_BIN-}" ]; then
    cargo build --release --quiet
    KELP_BENCH_BIN=$(realpath "$(ls -t target/*/release/kelp target/release/kelp 2>/dev/null | head -n 1)")
fi
export KELP_BENCH_BIN
if [ "$(id -u)" = 0 ]; then
    id kelp-test >/dev/null 2>&1 || { echo "run contrib/test once as root, it makes the user kelp-test" >&2; exit 1; }
    install -d -m 0700 -o kelp-test -g kelp-test /run/kelp-test
    KELP_TEST_USER=kelp-test KELP_TEST_RUNTIME=/run/kelp-test exec contrib/test --as-test-user \
        bash tests/bench/network.sh --rounds "$rounds" --seconds "$seconds" --connections "$connections"
fi
read -r -a podman <<<"${KELP_BENCH_PODMAN-podman --runtime runc}"
[ ${#podman[@]} -gt 0 ] && command -v "${podman[0]}" >/dev/null || podman=()

dir=$(mktemp -d "${TMPDIR:-/var/tmp}/kelp-bench.XXXXXX")
mkdir -m 700 "$dir/run" "$dir/home"
export HOME=$dir/home XDG_RUNTIME_DIR=$dir/run
unset XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME DBUS_SESSION_BUS_ADDRESS
cd "$dir"
k() { "$KELP_BENCH_BIN" "$@"; }
pm() { "${podman[@]}" --events-backend none "$@" 2>/dev/null; }
tools=(k)
[ ${#podman[@]} -eq 0 ] || tools+=(pm)
cleanup() {
    kill $(jobs -p) 2>/dev/null || true
    for t in "${tools[@]}"; do $t rm -a -f -t 0 >/dev/null 2>&1 || true; done
    [ ${#podman[@]} -eq 0 ] || pm system migrate >/dev/null 2>&1 || true
    cd /
    unshare --user --map-auto --map-root-user rm -rf "$dir" 2>/dev/null || rm -rf "$dir" || true
}
trap cleanup EXIT

# An image of this host's own programs and the libraries they want.
mkdir -p root/etc root/dev root/proc root/sys root/tmp root/bin root/srv root/var/log/nginx root/var/lib/nginx
cp /bin/busybox root/bin/ && ln -s busybox root/bin/sh && ln -s busybox root/bin/sleep
for program in iperf3 nginx perl; do
    file=$(command -v $program)
    cp -L --parents "$file" root
    ldd "$file" | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" root; done
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >root/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >root/etc/group
head -c 600 /dev/zero | tr '\0' x >root/srv/page
conf() { # PORT ROOT WHERE
    # What it would keep in directories of root's.
    local temporary="" kind
    for kind in client_body proxy fastcgi uwsgi scgi; do temporary+="${kind}_temp_path $3/$kind; "; done
    echo "daemon off; worker_processes 2; pid $3/nginx.pid; error_log /dev/null; events { worker_connections 4096; }
        http { access_log off; $temporary keepalive_requests 1000000000; server { listen 127.0.0.1:$1; listen [::1]:$1; root $2; } }"
}
conf 80 /srv /tmp | sed 's/listen 127.0.0.1:80; listen \[::1\]:80/listen 80/; 1s/^/user root; /' >root/etc/nginx.conf
# As many questions in flight as a busy server has; answers per second.
cat >root/ask.pl <<'PERL'
my ($server, $name, $seconds) = @ARGV;
socket(my $s, 2, 2, 0) or die "socket: $!";
connect($s, pack("S n C4 x8", 2, 53, split(/\./, $server))) or die "connect: $!";
my $tail = pack("n5", 0x0100, 1, 0, 0, 0) . join("", map { pack("C/a", $_) } split(/\./, $name)) . pack("C n n", 0, 1, 1);
my ($n, $end) = (0, time + $seconds + 1);
1 while time == $end - $seconds - 1; # begin with a whole second
$end = time + $seconds;
while (time < $end) {
    send($s, pack("n", $_) . $tail, 0) for 1 .. 32;
    for (1 .. 32) { recv($s, my $answer, 512, 0); $n++ }
}
print int($n / $seconds), "\n";
PERL
tar -C root --owner 0 --group 0 -cf root.tar .
for t in "${tools[@]}"; do $t import root.tar localhost/bench:net >/dev/null; done
IMG=localhost/bench:net

# Servers: on the host, and behind published ports. Where: name, tool, network flags.
places=("kelp k" "kelp,pasta k --network pasta")
command -v pasta >/dev/null || places=("kelp k")
[ ${#podman[@]} -eq 0 ] || places+=("podman pm")
conf 28080 "$dir/root/srv" "$dir" >nginx.conf
nginx -c "$dir/nginx.conf" -p "$dir" 2>/dev/null &
iperf3 -s -p 28081 >/dev/null &
port=28090
declare -A at
at[loopback]=28080
names=(loopback)
for place in "${places[@]}"; do
    read -r name tool flags <<<"$place"
    port=$((port + 2))
    at[$name]=$port
    names+=("$name")
    # The page is the same file for all: opening one of an overlay costs a server a tenth of its requests.
    $tool run -d --name "web${name/,/-}" $flags -v "$dir/root/srv:/srv:ro" -p 127.0.0.1:$port:80 $IMG nginx -c /etc/nginx.conf >/dev/null
    $tool run -d --name "perf${name/,/-}" $flags -p 127.0.0.1:$((port + 1)):5201 $IMG iperf3 -s >/dev/null
done
sleep 1

median() { sort -n "$1" 2>/dev/null | awk '{v[NR]=$1} END {if (NR) printf "%s", v[int((NR + 1) / 2)]; else printf "-"}'; }
requests() { # PORT NAME
    wrk -t1 -c"$connections" -d"${seconds}s" --latency "http://127.0.0.1:$1/page" >wrk.out
    awk '/Requests\/sec/ {printf "%d\n", $2}' wrk.out >>"rps.$2"
    awk '/99%/ {v = $2; u = v; gsub(/[0-9.]/, "", u); sub(/[a-z]+/, "", v); print u == "us" ? v / 1000 : u == "s" ? v * 1000 : v}' wrk.out >>"p99.$2"
}
received() { awk '/receiver/ {for (i = 1; i < NF; i++) if ($(i + 1) ~ /bits/) print $i}'; }
speed() { # PORT FILE FLAGS: a server that is not done with the last client says so
    for _ in {1..10}; do
        iperf3 -c 127.0.0.1 -p "$1" -t "$seconds" -f g $3 >perf.out 2>&1 && break
        sleep 0.5
    done
    received <perf.out >>"$2"
}
for ((round = 0; round < rounds; round++)); do
    for name in "${names[@]}"; do
        requests "${at[$name]}" "$name"
        speed $((${at[$name]} + 1)) "in.$name" ""
        speed $((${at[$name]} + 1)) "out.$name" -R
    done
done
printf '%-28s %12s %10s %14s %14s\n' 'through a published port' 'requests/s' 'p99 (ms)' 'in (Gbit/s)' 'out (Gbit/s)'
for name in "${names[@]}"; do
    share() { awk -v a="$(median "$1.$name")" -v b="$(median "$1.loopback")" 'BEGIN {if (b > 0) printf "%s %3d%%", a, 100 * a / b; else print a}'; }
    printf '%-28s %12s %10s %14s %14s\n' "$name" "$(share rps)" "$(median "p99.$name")" "$(share in)" "$(share out)"
done
for t in "${tools[@]}"; do $t rm -a -f -t 0 >/dev/null; done

# The way out, to an address of this host that is not its loopback.
own=$(ip -4 -o route get 192.0.2.1 2>/dev/null | grep -o 'src [0-9.]*' | cut -d' ' -f2) || own=
if [ -n "$own" ]; then
    echo
    printf '%-28s %14s %14s\n' 'outbound' 'up (Gbit/s)' 'down (Gbit/s)'
    up=("kelp,slirp4netns k --network slirp4netns" "${places[@]:1}")
    k network create bench >/dev/null && up+=("kelp,user-network k --network bench")
    for place in "${up[@]}"; do
        read -r name tool flags <<<"$place"
        # pasta has the host's own address, so it reaches the host by that of the gateway.
        target=$own options=$flags
        [ "${flags-}" != "--network pasta" ] || { target=$(ip -4 route show default | awk '{print $3; exit}') options="--network pasta:--map-gw"; }
        for ((round = 0; round < rounds; round++)); do
            $tool run --rm $options $IMG iperf3 -c "$target" -p 28081 -t "$seconds" -f g | received >>"up.$name" || true
            $tool run --rm $options $IMG iperf3 -c "$target" -p 28081 -t "$seconds" -f g -R | received >>"down.$name" || true
        done
        printf '%-28s %14s %14s\n' "$name" "$(median "up.$name")" "$(median "down.$name")"
    done
fi

echo
k network inspect bench >/dev/null 2>&1 || k network create bench >/dev/null
k run -d --name db --network bench $IMG sleep 1000 >/dev/null
server=$(k network inspect -f '{{(index .IPAM.Config 0).Gateway}}' bench 2>/dev/null || true)
[ -n "$server" ] || server=$(k network inspect bench | grep -o '"[Gg]ateway": *"[0-9.]*"' | grep -o '[0-9.]*' | head -n 1)
for ((round = 0; round < rounds; round++)); do
    k run --rm --network bench $IMG perl /ask.pl "$server" db "$seconds" >>names
done
printf '%-28s %14s\n' 'name lookups per second' "$(median names)"
k rm -f -t 0 db >/dev/null && k network rm bench >/dev/null
