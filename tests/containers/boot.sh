# Boot the systemd of an image, in namespaces of its own: everything that it starts and mounts ends with this process.
#   unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child --propagation private sh boot.sh FOLDER IMAGE
set -eu
folder=$1 image=$2
mount -t tmpfs run /run
export CONTAINERS_STORAGE_CONF=$folder/storage.conf CONTAINERS_CONF_OVERRIDE=$folder/containers.conf
root=$(buildah mount "$(buildah from --pull=never "$image")")
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
# one hierarchy of control groups, whatever the machine has: systemd knows no other
for each in $(awk '$2 ~ "^/sys/fs/cgroup" { print $2 }' /proc/mounts | sort -r); do umount -l "$each"; done
mount -t tmpfs cgroup "$root/sys/fs"
mkdir "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 pts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for each in null zero full random urandom tty; do
	: >"$root/dev/$each"
	mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s /proc/self/fd "$root/dev/fd"
ip link set lo up
cd "$root"
mkdir -p put_old
pivot_root . put_old
umount -l put_old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /sbin/init --log-target=console --show-status=0
