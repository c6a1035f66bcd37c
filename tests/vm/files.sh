#!/bin/sh
# In a guest whose kernel refuses overlay mounts in user namespaces: containers run all the same, by themselves on kelp's own
# overlay, and the files of stopped ones can be had.
set -eu
fail() { echo "FAILED: $*"; exit 1; }
same() { [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"; }

PATH=$PWD:$PATH
cd "$(mktemp -d)"
mkdir -p root/bin root/etc root/tmp && chmod 1777 root/tmp
cp "$OLDPWD/busybox" root/bin/
for name in sh cat id stat touch rm ls mkdir; do ln -s busybox root/bin/$name; done
echo from the image >root/etc/file
tar -C root --owner=0 --group=0 -c . | kelp import - image >/dev/null

# The kernel's overlay is refused here, or this proves nothing.
mkdir l u w m
if unshare -U -r -m mount -t overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr overlay m 2>/dev/null; then
    fail "this kernel mounts overlays in user namespaces"
fi
kind() { kelp run --rm --network none "$@" image sh -c 'while read -r a where kind rest; do [ "$where" = / ] && echo "$kind"; done </proc/mounts'; }
same "root" "$(kind)" fuse.kelp
same "root with shifted ids" "$(kind --userns keep-id)" fuse.kelp

script='if [ -e /in ]; then cat /in; else echo out >/out; rm /etc/file; fi'
kelp run --network none --name c image sh -c "$script"
kelp cp c:/out out
same "cp out" "$(cat out)" out
echo in >in
kelp cp in c:/in
kelp diff c | grep -q '^D /etc/file' || fail "diff: $(kelp diff c)"
kelp export c | tar -t >list
grep -q '^in$' list && grep -q '^out$' list || fail "export: $(cat list)"
! grep -q 'etc/file' list || fail "export shows a removed file"
same "started again" "$(kelp start -a c)" in
same "keep-id" "$(kelp run --rm --network none --userns keep-id image sh -c 'id -u; touch /tmp/x; stat -c %u /tmp/x /etc/file')" "$(printf '%s\n%s\n0' "$(id -u)" "$(id -u)")"
kelp rm c >/dev/null
echo all good
