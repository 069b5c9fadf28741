#!/bin/sh
# The first process of a board: lays out its file system inside the namespaces that `unshare`
# has made for it, then becomes its SSH server.
#
#   init.sh FOLDER NAME [IMAGE CPU]
#
# With IMAGE the board is an arm64 machine whose disk is IMAGE below FOLDER/upper. Without, it is
# this machine again, except for /etc, /home, /tmp and /run.
set -eu
folder=$1 name=$2

mount -t proc proc /proc
ip link set lo up
hostname "$name"
ulimit -c 0
cd "$folder"

if [ $# -eq 2 ]; then
    # relative and not made absolute by mount: FOLDER itself may lie below /home or /tmp
    cd upper
    mount -t overlay -o "lowerdir=/etc,upperdir=$folder/upper/etc,workdir=$folder/work" board /etc
    mount --no-canonicalize --bind ./tmp /tmp
    mount --no-canonicalize --bind ./home /home
    mount -t tmpfs -o mode=755 board /run
    mkdir /run/sshd
    cd /
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/sbin/sshd -D -e
fi

image=$3 cpu=$4
mount -t overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" board root
mount -t proc proc root/proc
mount -t sysfs sysfs root/sys
# the kernel shows the x86 one, and onnxruntime for arm64 crashes on import when it reads that
mount --bind cpuinfo root/proc/cpuinfo
mount -t tmpfs -o mode=755,size=1m board root/dev
for device in null zero full random urandom tty; do
    touch root/dev/$device
    mount --bind /dev/$device root/dev/$device
done
mkdir root/dev/pts root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts root/dev/pts
mount -t tmpfs board root/dev/shm
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
ln -s fd/0 root/dev/stdin
ln -s fd/1 root/dev/stdout
ln -s fd/2 root/dev/stderr
mount -t tmpfs -o mode=755 board root/run
mkdir root/run/sshd
exec chroot root /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "QEMU_CPU=$cpu" \
    /usr/sbin/sshd -D -e
