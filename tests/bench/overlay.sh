#!/bin/bash
# Times kelp's FUSE overlay, the kernel's overlay and fuse-overlayfs side by side, in one user namespace on one tree.
#
# usage: overlay.sh KELP TREE [SCRATCH] [ROUNDS]
#   KELP     the binary to measure, a release build
#   TREE     a Debian root (debootstrap --variant=minbase), the lower layer
#   SCRATCH  a directory on a real file system (default /var/tmp)
#   ROUNDS   how often everything is done; medians are printed (default 3)
# Run it as an ordinary user: it enters its own namespaces. DRIVERS="kernel kelp" leaves one out; ONLY="untar small" does those
# steps alone (and what they need); KELP_OPTIONS is added to kelp's mount options. sqlite3, gcc, make and git are used if the host
# has them. Wall time is printed, and processor time: of the commands and of the server together.
# On a machine with other work, `taskset -c 1 overlay.sh …` gives the steadiest ratios: waking another processor costs most then.
set -euo pipefail
if [ -z "${KELP_BENCH_INSIDE:-}" ]; then
    export KELP_BENCH_INSIDE=1
    exec unshare -r -m -- "$0" "$@"
fi
KELP=$(realpath "$1") TREE=$(realpath "$2") ROUNDS=${4:-3}
W=$(mktemp -d "${3:-/var/tmp}/kelp-bench.XXXXXX")
DRIVERS=${DRIVERS:-kernel kelp fuse-overlayfs}
command -v fuse-overlayfs >/dev/null || DRIVERS=${DRIVERS/fuse-overlayfs/}
R=$W/results; : >"$R"
SERVER= N=0
cleanup() { umount -l "$W/m" 2>/dev/null || true; rm -rf "$W"; }
trap cleanup EXIT

start() { # driver
    # A new place each time, and nothing removed until the end: ext4 goes round inodes deleted in the last minutes one by one.
    N=$((N + 1))
    mkdir -p "$W/$N/u" "$W/$N/w" "$W/m"
    local o="lowerdir=$W/src:$TREE,upperdir=$W/$N/u,workdir=$W/$N/w"
    SERVER=
    case $1 in
    kernel) mount -t overlay -o "$o,userxattr" overlay "$W/m" ;;
    kelp*) "$KELP" overlay-mount -f -o "$o${KELP_OPTIONS:+,$KELP_OPTIONS}" "$W/m" & SERVER=$! ;;
    fuse-overlayfs) fuse-overlayfs -f -o "$o" "$W/m" & SERVER=$! ;;
    esac
    for _ in $(seq 200); do mountpoint -q "$W/m" && return; sleep 0.02; done
    echo "no mount of $1" >&2; exit 1
}
stop() { rm -f "$W/m/big"; umount "$W/m"; wait; }
server_ns() { if [ -n "$SERVER" ]; then cat "/proc/$SERVER"/task/*/schedstat | awk '{ s += $1 } END { printf "%.0f", s }'; else echo 0; fi; }
TIMEFORMAT='%R %U %S'
timed() { # driver name command...
    local driver=$1 name=$2 before after line; shift 2
    [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" ${name#*-} "* ]] || [[ $name == *.prepare ]] || return 0
    before=$(server_ns)
    line=$({ time "$@" >/dev/null 2>"$W/err" || echo "$driver: $name failed: $(head -c 300 "$W/err")" >&3; } 2>&1) 3>&2
    after=$(server_ns)
    echo "$name $driver $line $((after - before))" | awk '{ printf "%s %s %.0f %.0f\n", $1, $2, $3 * 1000000, ($4 + $5) * 1000000 + $6 / 1000 }' >>"$R"
}
has() { [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" $1 "* ]]; }

read_all() { tar cf - -C "$W/m" usr | cat; }
find_size() { find "$W/m" -size +1M; }
copy_all() { cp -a "$W/m/usr" "$W/m/usr2"; }
copy_up() { xargs -0 touch -h <"$W/list"; }
untar() { mkdir "$W/m/t" && tar xf "$W/tar" -C "$W/m/t"; }
small() { mkdir "$W/m/s" && (cd "$W/m/s" && for i in $(seq 3000); do echo "$i" >"f$i"; done); }
remove() { rm -rf "$W/m/t" "$W/m/s"; }
write_big() { dd if=/dev/zero of="$W/m/big" bs=1M count=256; }
read_big() { dd if="$W/m/big" of=/dev/null bs=1M; }
commits() {
    for i in $(seq 60); do echo "insert into t values($i);"; done |
        sqlite3 "$W/m/db" -cmd "create table t(x)"
}
build() { make -s -j4 -C "$W/m/src"; }
status() { git -C "$W/m/repo" status --short; }
readers() { xargs -0 -P16 -n 400 cat <"$W/all"; }

sources() { # a program of 60 files and a repository of 6000, in a layer of their own
    mkdir -p "$W/src/src" "$W/src/repo"
    local i
    for i in $(seq 60); do
        printf '#include <stdio.h>\n#include "all.h"\nint f%d(int x) { return printf("%%d", x + %d); }\n' "$i" "$i" >"$W/src/src/f$i.c"
    done
    for i in $(seq 60); do echo "int f$i(int);"; done >"$W/src/src/all.h"
    printf 'OBJ = $(patsubst %%.c,%%.o,$(wildcard f*.c))\nprog.a: $(OBJ)\n\tar rc $@ $(OBJ)\n%%.o: %%.c all.h\n\tgcc -c -O0 -o $@ $<\n' >"$W/src/src/Makefile"
    if command -v git >/dev/null && has git-status; then
        (cd "$W/src/repo" && for d in $(seq 60); do mkdir -p "d$d/sub"; for i in $(seq 100); do echo "$d $i" >"d$d/sub/f$i"; done; done
        git init -q . && git add . && git -c user.name=a -c user.email=a@b commit -qm all && git status --short)
    fi
}

sources
find "$TREE/usr" -type f -printf "$W/m/usr/%P\0" >"$W/all"; head -z -n 5000 "$W/all" >"$W/list"
tar cf "$W/tar" -C "$TREE/usr" share
tar cf - -C "$TREE" usr | cat >/dev/null # the layers are in memory for all alike
for _ in $(seq "$ROUNDS"); do
    for d in $DRIVERS; do
        start "$d"
        timed "$d" 01-read-first read_all
        timed "$d" 02-read-again read_all
        timed "$d" 03-find-size-again find_size
        timed "$d" 04-cp-a copy_all
        timed "$d" 05-copy-up-5000 copy_up
        timed "$d" 06-untar untar
        timed "$d" 07-3000-small small
        timed "$d" 09-write-256M write_big
        timed "$d" 10-read-it read_big
        ! command -v sqlite3 >/dev/null || timed "$d" 11-60-commits commits
        timed "$d" 08-rm-rf remove
        stop
        ! has build && ! has git-status && ! has 16-readers && continue
        start "$d"
        ! command -v gcc >/dev/null || timed "$d" 12-build build
        ! command -v git >/dev/null || timed "$d" 13-git-status status
        timed "$d" 14-16-readers readers
        stop
    done
done
sort "$R" | awk -v drivers="$DRIVERS" '
    { key = $1 " " $2; n[key]++; v[key, n[key]] = $3; c[key, n[key]] = $4; names[$1] }
    function median(key, of,   m, i, j, t, a) {
        m = n[key]; for (i = 1; i <= m; i++) a[i] = of ? c[key, i] : v[key, i]
        for (i = 1; i <= m; i++) for (j = i + 1; j <= m; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
        return a[int((m + 1) / 2)]
    }
    END {
        count = split(drivers, d, " ")
        line = sprintf("%-18s", "")
        for (i = 1; i <= count; i++) line = line sprintf(" | %-31s", d[i] " wall ms (x)  cpu ms (x)")
        print line
        for (name in names) {
            k = median(name " " d[1], 0); kc = median(name " " d[1], 1)
            line = sprintf("%-18s", name)
            for (i = 1; i <= count; i++) {
                t = median(name " " d[i], 0); tc = median(name " " d[i], 1)
                line = line sprintf(" | %7.1f (%5.2f) %8.1f (%5.2f)", t / 1000, k ? t / k : 0, tc / 1000, kc ? tc / kc : 0)
            }
            print line | "sort"
        }
    }'
