#!/bin/bash
# networks.sh [rootfs] — in the guest, as an ordinary user in a login session: user networks on this kernel, and where their holder
# lives with systemd. Beside it: kelp, and busybox (static). Prints a line per check; fails if one does.
exec 2>&1
cd "$(dirname "$0")" || exit 1
export PATH=$PATH:/usr/sbin KELP=$PWD/kelp
kelp() { "$KELP" "$@"; }
bad=0
pass() { echo "pass  $1"; }
fail() { echo "FAIL  $1: $2"; bad=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got \"$2\", expected \"$3\""; fi; }   # name got expected
has() { if [[ $2 == *"$3"* ]]; then pass "$1"; else fail "$1" "no \"$3\" in: $2"; fi; }          # name text part

# The page of a server that may just be starting.
page() { for _ in {1..50}; do [ "$("$@" 2>/dev/null)" = page ] && break; sleep .2; done; "$@"; }

mkdir -p /tmp/root/bin /tmp/root/www && cp busybox /tmp/root/bin/ && echo page > /tmp/root/www/index.html
for a in cat httpd ip nc sh sleep wget; do ln -s busybox /tmp/root/bin/$a; done
if [ "${1-}" = rootfs ]; then
    i="--rootfs /tmp/root"
else
    tar -C /tmp/root -c . | kelp import - busybox > /dev/null || exit 1
    i=busybox
fi
echo "kernel $(uname -r)"

has "the kernel can" "$(kelp doctor)" "bridges and masquerade work"
kelp network create --ipv6 app > /dev/null
kelp run -d --name web --network app -p 8080:80 $i httpd -f -p 80 -h /www > /dev/null
kelp run -d --name client --network app $i sleep 1000 > /dev/null
is "by name" "$(page kelp exec client wget -q -O - http://web/index.html)" page
is "over IPv6" "$(page kelp exec client wget -q -O - "http://[$(kelp inspect -f '{{.NetworkSettings.Networks.app.GlobalIPv6Address}}' web)]/index.html")" page
is "the published port" "$(page ./busybox wget -q -O - http://127.0.0.1:8080/index.html)" page
holder=$(pgrep -f __holder)
has "the holder has a scope of its own" "$(cut -d: -f3 "/proc/$holder/cgroup")" "/kelp-networks-$holder.scope"
# The container in whose cgroup it was started ends: nobody notices.
kelp rm -f -t 0 web > /dev/null
kelp run -d --name web --network app $i httpd -f -p 80 -h /www > /dev/null
is "by name, of another" "$(page kelp exec client wget -q -O - http://web/index.html)" page
is "the same holder" "$(pgrep -f __holder)" "$holder"
kill -9 "$holder"
is "by name, by another holder" "$(page kelp exec client wget -q -O - http://web/index.html)" page
kelp rm -f -t 0 -a > /dev/null
for _ in {1..50}; do pgrep -f __holder > /dev/null || break; sleep .1; done
is "the holder has left" "$(pgrep -f __holder)" ""
exit $bad
