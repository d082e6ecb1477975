# Become Asterisk in a root of its own. Run in a private mount namespace: every mount below dies with the process.
#   sh start.sh ROOT HOME CONF LAB FOLDER...
# ROOT has Asterisk (or is /), HOME is the instance's folder in LAB. LAB and the FOLDERs are seen at the same path,
# the FOLDERs read-only.
set -eu
root=$1 home=$2 conf=$3 lab=$4
shift 4

# Asterisk asks the DNS even for local host names; without these files, each SIP dialog waits seconds for an answer.
names() {
	for file in hosts nsswitch.conf resolv.conf; do
		mount --bind "$home/names/$file" "$1/etc/$file"
	done
}

folders() {
	new=$1
	shift
	for folder; do
		mkdir -p "$new$folder"
		mount --bind "$folder" "$new$folder"
		mount -o remount,bind,ro "$new$folder"
	done
	# Last, so that it can be written even below a read-only folder.
	mkdir -p "$new$lab"
	mount --bind "$lab" "$new$lab"
	# A plain bind mount does not include mounts below it, such as a small spool.
	if mountpoint -q "$home/spool"; then mount --bind "$home/spool" "$new$home/spool"; fi
}

if [ "$root" = / ]; then
	names ""
	folders "" "$@"
	PATH=$PATH:/usr/sbin:/usr/local/sbin
	exec asterisk -f -C "$conf"
fi

# A small tmpfs is the new root, so that no mount point is created in the cached root.
new=$home/root
mount -t tmpfs -o mode=755,size=16m lab "$new"
cp -a "$root"/bin "$root"/lib* "$root"/sbin "$new"
mkdir "$new/proc" "$new/dev" "$new/run" "$new/usr"
mkdir -m 1777 "$new/tmp"
mount --bind "$root/usr" "$new/usr"
mount -o remount,bind,ro "$new/usr"
cp -a "$root/etc" "$new"
if [ -e "$home/names/localtime" ]; then cp --remove-destination "$home/names/localtime" "$new/etc/localtime"; fi
names "$new"
mount -t proc proc "$new/proc"
mount --bind /dev "$new/dev"
folders "$new" "$@"
exec chroot "$new" /usr/sbin/asterisk -f -C "$conf"
