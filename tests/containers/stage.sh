# A podman of its own, in namespaces of its own: everything that it starts, mounts and configures ends with this process.
#   unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private sh stage.sh FOLDER
# It answers as Docker does on FOLDER/podman.sock.
set -eu
folder=$1
# hybrid control groups confuse crun
umount /sys/fs/cgroup/unified 2>/dev/null || true
mount -t tmpfs -o mode=755 stage /run
ip link set lo up
export CONTAINERS_STORAGE_CONF=$folder/storage.conf CONTAINERS_CONF_OVERRIDE=$folder/containers.conf
export PODMAN_IGNORE_CGROUPSV1_WARNING=1
podman system service --time=0 "unix://$folder/podman.sock" &
# systemd's timers normally run health checks. Without systemd, each is run here once a second, whatever its interval.
while :; do
	for each in $(podman ps --quiet); do
		podman healthcheck run "$each" >/dev/null 2>&1 || true
	done
	sleep 1
done
