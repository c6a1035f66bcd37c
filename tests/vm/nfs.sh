#!/bin/sh
# In a guest: a home on NFS (root squashed, as universities have it). What needs locks and owners goes to a local disk, said
# once; everything else works, with subordinate ids and without; a store on the server that others may only read is used in
# place.
set -eu
fail() { echo "FAILED: $*"; exit 1; }
same() { [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"; }

PATH=$PWD:$PATH:/usr/sbin:/sbin
share=$PWD
cat >/tmp/serve <<'S'
set -e
modprobe nfsd
mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /srv/nfs/home/u /mnt/nfs /var/lib/nfs/v4recovery /run/rpc_pipefs && chown u: /srv/nfs/home/u
mountpoint -q /run/rpc_pipefs || mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
ip link set lo up
echo '/srv/nfs 127.0.0.1(rw,root_squash,no_subtree_check,fsid=0,sec=sys,insecure)' >/etc/exports
exportfs -ra
rpc.mountd -N 2 -N 3
rpc.nfsd -N 3 2
mount -t nfs4 127.0.0.1:/ /mnt/nfs
S
su -c "PATH=$PATH sh /tmp/serve"
export HOME=/mnt/nfs/home/u
cd
touch file
same "kind of file system" "$(stat -f -c %T .)" nfs

mkdir -p root/bin root/etc root/tmp && chmod 1777 root/tmp
cp "$share/busybox" root/bin/
for name in sh cat id stat touch ls sleep chown; do ln -s busybox root/bin/$name; done
echo from the image >root/etc/file

everyday() {
    tar -C root --owner=0 --group=0 -c . | kelp import - image 2>said >/dev/null
    same "what is said ($1)" "$(grep -c 'on a network file system' said)" "$2"
    same "run ($1)" "$(kelp run --rm --network none image sh -c 'chown 33:44 /etc/file; stat -c "%u %g" /etc/file; cat /etc/file')" "$3"
    kelp run -d --name c --network none image sleep 1000 >/dev/null
    kelp exec c sh -c 'echo changed >/etc/file; chown 7:8 /etc/file'
    kelp commit c changed >/dev/null 2>&1
    kelp rm -f -t 0 c >/dev/null
    same "commit ($1)" "$(kelp run --rm --network none changed cat /etc/file)" changed
    kelp export "$(kelp create --network none changed)" | tar -tv --numeric-owner | grep -q ' 7/8 .* etc/file$' || fail "owners ($1)"
    printf 'FROM image\nCOPY root/etc/file /copied\nRUN cat /copied >/made\n' >Dockerfile
    kelp build -q -t built . >/dev/null
    same "build ($1)" "$(kelp run --rm --network none built cat /made)" 'from the image'
    # The project in the home, as a program in a container has it.
    kelp run --rm --network none -v "$PWD:/home" -w /home image sh -c 'cat root/etc/file >copy; echo more >>copy'
    same "bind mount ($1)" "$(tail -n 1 copy) $(stat -c %U copy)" "more u"
    kelp run --rm --network none -v data:/d image sh -c 'echo kept >/d/x'
    same "volume ($1)" "$(kelp run --rm --network none -v data:/d image cat /d/x)" kept
    kelp network create net >/dev/null
    same "network ($1)" "$(kelp run --rm --network net image cat /etc/file)" 'from the image'
    kelp network rm net >/dev/null
    kelp system check >/dev/null 2>&1 || fail "check ($1)"
}
everyday "subordinate ids" 1 '33 44
from the image'
! find . -name fs -path '*layers*' | grep . || fail "layers are on the server"

# A store that somebody else filled, on a mount that can only be read.
kelp rm -a -f -t 0 >/dev/null
su -c "cp -a /var/tmp/kelp-*/data /srv/nfs/store"
su -c "mount -o remount,ro /mnt/nfs"
mkdir -p /tmp/other/.config/kelp
printf '[storage]\nadditional-stores = ["/mnt/nfs/store"]\n' >/tmp/other/.config/kelp/config.toml
same "additional store" "$(HOME=/tmp/other kelp run --rm --network none built cat /made)" 'from the image'
su -c "mount -o remount,rw /mnt/nfs"

# The same home for a user without subordinate ids.
su -c "sed -i /^u:/d /etc/subuid /etc/subgid"
su -c "rm -rf /var/tmp/kelp-*"; rm -rf .local
everyday "one id" 1 '0 0
from the image'
kelp system reset -f
echo all good
