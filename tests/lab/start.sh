# Become Asterisk in a root of its own. Run in a private mount namespace: every mount below dies with the process.
#   sh start.sh ROOT HOME CONF FOLDER...
# ROOT has Asterisk (or is /), HOME is the instance's folder, FOLDERs are seen at the same path, the first writable.
set -eu
root=$1 home=$2 conf=$3
shift 3

# Asterisk asks the DNS for host names it could know; without these files each SIP dialog waits seconds for an answer.
names() {
	for file in hosts nsswitch.conf resolv.conf; do
		mount --bind "$home/names/$file" "$1/etc/$file"
	done
}

if [ "$root" = / ]; then
	names ""
	exec "$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v asterisk)" -f -C "$conf"
fi

# A small tmpfs is the new root, so that no mount point is ever made in the cached root.
new=$home/root
mount -t tmpfs -o mode=755,size=16m lab "$new"
cp -a "$root"/bin "$root"/lib* "$root"/sbin "$new"
mkdir "$new/proc" "$new/dev" "$new/run" "$new/usr" "$new/etc"
mkdir -m 1777 "$new/tmp"
for folder in usr etc; do
	mount --bind "$root/$folder" "$new/$folder"
	mount -o remount,bind,ro "$new/$folder"
done
names "$new"
mount -t proc proc "$new/proc"
mount --bind /dev "$new/dev"
writable=yes
for folder; do
	mkdir -p "$new$folder"
	mount --bind "$folder" "$new$folder"
	[ $writable ] || mount -o remount,bind,ro "$new$folder"
	writable=
done
exec chroot "$new" /usr/sbin/asterisk -f -C "$conf"
