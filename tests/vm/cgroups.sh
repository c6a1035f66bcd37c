#!/bin/bash
# cgroups.sh [rootfs] — in the guest, as an ordinary user in a login session: what kelp does with version 2 cgroups and systemd.
# Beside it: kelp, and busybox (static). Prints a line per check; fails if one does.
exec 2>&1
cd "$(dirname "$0")" || exit 1
export PATH=$PATH:/usr/sbin KELP=$PWD/kelp
kelp() { "$KELP" "$@"; }
bad=0
pass() { echo "pass  $1"; }
fail() { echo "FAIL  $1: $2"; bad=1; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got \"$2\", expected \"$3\""; fi; }   # name got expected
has() { if [[ $2 == *"$3"* ]]; then pass "$1"; else fail "$1" "no \"$3\" in: $2"; fi; }          # name text part
gone() { for _ in {1..50}; do "${@:2}" > /dev/null || { pass "$1"; return; }; sleep .1; done; fail "$1" "still there"; }
own() { cut -d: -f3 "/proc/$1/cgroup"; }
monitor() { kelp inspect -f '{{.State.ConmonPid}}' "$1"; }

mkdir -p /tmp/root/bin && cp busybox /tmp/root/bin/
for a in cat head ls sh sleep tail true; do ln -s busybox /tmp/root/bin/$a; done
run() { kelp run --network none "$@"; }
if [ "${1-}" = rootfs ]; then
    image() { echo --rootfs /tmp/root; }
else
    tar -C /tmp/root -c . | kelp import - busybox > /dev/null || exit 1
    image() { echo busybox; }
fi
i=$(image)
echo "kernel $(uname -r)"

# Limits, and what of them is seen inside.
is "limits are set" "$(run --rm --memory 64m --pids-limit 20 --cpus 0.5 --cpu-shares 512 $i \
    sh -c 'cd /sys/fs/cgroup; cat memory.max memory.swap.max pids.max cpu.max cpu.weight' | tr '\n' ' ')" "67108864 67108864 20 50000 100000 20 "
is "cpuset" "$(run --rm --cpuset-cpus 1 $i cat /sys/fs/cgroup/cpuset.cpus.effective)" 1
is "the own cgroup is all there is" "$(run --rm -m 64m $i sh -c 'cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs' | tr '\n' ' ')" "0::/ 1 "
has "it is read-only" "$(run --rm -m 64m $i sh -c 'echo max > /sys/fs/cgroup/memory.max' 2>&1)" "Read-only"
has "a wrong value is named" "$(run --rm --cpuset-cpus 99 $i true 2>&1)" 'the kernel refuses "99" for cpuset.cpus'

# The same of steps of a build.
if [ "$i" = busybox ]; then
    printf 'FROM busybox\nRUN cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max\nRUN tail /dev/zero\n' > /tmp/Dockerfile
    built=$(kelp build --progress plain --network none --memory 30m --memory-swap 30m --cpu-quota 50000 --cpu-period 100000 - < /tmp/Dockerfile 2>&1)
    is "a build beyond its memory: status" $? 137
    has "a build's limits are set: memory" "$built" 31457280
    has "a build's limits are set: processors" "$built" "50000 100000"
    has "a build beyond its memory is told so" "$built" "out of memory"
fi

# Limits hold.
run --name oom --memory 20m --memory-swap 20m $i tail /dev/zero > /dev/null
is "killed beyond its memory: status" $? 137
is "killed beyond its memory: record" "$(kelp inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)" "true 137"
run --name notoom --memory 200m $i sh -c 'kill -9 $$; sleep 1' > /dev/null
run --name plain $i sh -c 'exit 137'
is "an end that only looks so" "$(kelp inspect -f '{{.State.OOMKilled}}' plain)" false
kelp rm -f oom notoom plain > /dev/null
has "no fork beyond the limit" "$(run --rm --pids-limit 5 $i sh -c 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait' 2>&1)" "can't fork"
has "the processor is throttled" "$(run --rm --cpus 0.1 $i sh -c 'i=0; while [ $i -lt 9000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu.stat')" "nr_throttled "

# Detached: a scope of systemd's, divided; pause, exec, kill, and nothing left.
run -d --name a $i sleep 1000 > /dev/null
has "the monitor is in a scope" "$(own "$(monitor a)")" "/user@$(id -u).service/app.slice/kelp-"
is "inspect names the cgroup" "$(kelp inspect -f '{{.State.CgroupPath}}' a)" "$(own "$(kelp inspect -f '{{.State.Pid}}' a)")"
is "exec is in it" "$(kelp exec a cat /proc/self/cgroup)" 0::/
kelp pause a > /dev/null
is "paused" "$(kelp inspect -f '{{.State.Status}}' a)" paused
has "frozen" "$(cat "/sys/fs/cgroup$(own "$(kelp inspect -f '{{.State.Pid}}' a)")/cgroup.events")" "frozen 1"
has "no exec while paused" "$(kelp exec a true 2>&1)" "paused"
kelp unpause a > /dev/null
is "exec after unpause" "$(kelp exec a sh -c 'echo on')" on
kelp pause a > /dev/null && kelp stop -t 5 a > /dev/null
is "a paused one can be stopped" "$(kelp inspect -f '{{.State.Status}}' a)" exited
kelp start a > /dev/null
has "started again in a scope" "$(own "$(monitor a)")" "/kelp-"
kelp rm -f -t 0 a > /dev/null
units() { systemctl --user list-units --no-legend 'kelp-*' | grep .; }
gone "the scope goes with the container" units
run -d --name h --pid host $i sh -c 'sleep 4321 & sleep 4322' > /dev/null
kelp kill h > /dev/null
gone "kill reaches all processes in the host's pid namespace" pgrep -f 'sleep 432[12]'
kelp rm h > /dev/null
run -d --name k --pid host $i sh -c 'sleep 4323 & sleep 4324' > /dev/null
kill -9 "$(monitor k)"; sleep .5
kelp start k > /dev/null
is "starts again after its monitor was killed" "$(kelp inspect -f '{{.State.Status}}' k)" running
kelp rm -f -t 0 k > /dev/null
gone "and nothing of the first run stays" pgrep -f 'sleep 432[34]'
run -d --name s --cgroup-parent work.slice $i sleep 1000 > /dev/null
has "a slice of the user's choice" "$(own "$(monitor s)")" /work.slice/
kelp rm -f -t 0 s > /dev/null

# Logs in the journal.
run --log-driver journald --name j $i sh -c 'echo to the journal; echo oops >&2; sleep .3; echo end' > /dev/null 2>&1
is "the journal gives them back" "$(sleep 1; kelp logs j 2> /dev/null | tr '\n' ' ')" "to the journal end "
is "standard error apart" "$(kelp logs j 2>&1 > /dev/null)" oops
is "the last lines" "$(kelp logs --tail 1 j)" end
run -d --log-driver journald --name jj $i sh -c 'for n in 1 2 3; do echo "line $n"; sleep .3; done' > /dev/null
is "followed to the end" "$(timeout 30 "$KELP" logs -f jj | tr '\n' ' ')" "line 1 line 2 line 3 "
kelp rm -f j jj > /dev/null

# A batch job is never left.
export SLURM_JOB_ID=1
has "no limits in a batch job" "$(run --rm -m 64m $i true 2>&1)" "SLURM_JOB_ID"
run -d --name j $i sleep 1000 > /dev/null
is "its containers stay in its cgroup" "$(own "$(monitor j)")" "$(own self)"
has "pause is refused there" "$(kelp pause j 2>&1)" "cannot pause"
kelp rm -f -t 0 j > /dev/null
unset SLURM_JOB_ID
# Nor is a manager that is not there waited for.
has "no systemd, no limits" "$(XDG_RUNTIME_DIR=/tmp/none DBUS_SESSION_BUS_ADDRESS= run --rm -m 64m $i true 2>&1)" "no systemd"

# A unit of the user's with Delegate=yes is divided, not left.
mkdir -p ~/.config/systemd/user
unit() { printf '[Service]\n%s\nExecStart=%s run --rm --name %s --network none -m 30m %s sleep 1000\nExecStop=%s stop -t 0 %s\n' \
    "$2" "$KELP" "$1" "$i" "$KELP" "$1" > ~/.config/systemd/user/"$1".service; }
# What a process said that is gone already, the journal may keep without its unit's name: a file does not.
unit web Delegate=yes; unit bare StandardError=append:/tmp/bare.stderr
systemctl --user daemon-reload; systemctl --user start web bare
for _ in {1..100}; do kelp ps --format '{{.Names}}' | grep -q web && break; sleep .1; done
is "in its unit" "$(kelp inspect -f '{{.State.CgroupPath}}' web | sed 's/kelp-.*/kelp-/')" \
    "/user.slice/user-$(id -u).slice/user@$(id -u).service/app.slice/web.service/kelp-"
systemctl --user stop web
is "stopped with its unit" "$(kelp ps -aq)" ""
for _ in {1..50}; do [ "$(systemctl --user is-active bare)" != failed ] || break; sleep .1; done
has "a unit without Delegate= is told to have it" "$(cat /tmp/bare.stderr; systemctl --user status bare 2>&1)" "Delegate=yes"

# Logout: with lingering, what is in a scope goes on.
su - -c "runuser -l u -c 'XDG_RUNTIME_DIR=/run/user/$(id -u) $KELP run -d --name stays --network none $i sleep 1000'" > /dev/null
is "survives the session that started it" "$(kelp inspect -f '{{.State.Status}}' stays)" running
kelp rm -f -t 0 stays > /dev/null
exit $bad
