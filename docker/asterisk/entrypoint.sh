#!/bin/sh
# Write the settings of this installation, and its secrets, where only this container sees them; then run the command.
set -eu
umask 077
made=/run/asterisk/made
mkdir -p "$made"

file=${ARI_PASSWORD_FILE:?is not set: the file with the password of the ARI user}
password=$(cat "$file")
case $password in
*[!A-Za-z0-9._-]* | '') echo "entrypoint: the password in $file must be of letters, digits and . _ - alone" >&2; exit 1 ;;
esac
[ ${#password} -ge 16 ] || { echo "entrypoint: the password in $file is shorter than 16 characters" >&2; exit 1; }
cat >"$made/ari.conf" <<END
[${ARI_USER:-ccari}]
type = user
password = $password
password_format = plain
read_only = no
END

cat >"$made/rtp.conf" <<END
rtpstart = ${RTP_START:-10000}
rtpend = ${RTP_END:-10199}
END

# The networks that this container is on: those without a gateway in Linux's routing table.
own_nets() {
	while read -r _ destination gateway _ _ _ _ mask _; do
		[ "$gateway" = 00000000 ] && [ "$destination" != 00000000 ] && echo "$(dotted "$destination")/$(dotted "$mask")"
	done </proc/net/route
}

# The table's addresses have the last byte first.
dotted() {
	printf '%d.%d.%d.%d' $(echo "$1" | sed 's/\(..\)\(..\)\(..\)\(..\)/0x\4 0x\3 0x\2 0x\1/')
}

# The address that phones and trunks are told to send to, because they cannot reach the container's own. Other containers can,
# and an office's network may look like theirs. So only two kinds of network are local: those that the container itself is on,
# without which Asterisk would leave its own address in the SDP, and those in LOCAL_NETS.
{
	printf '[udp]\ntype = transport\nprotocol = udp\nbind = 0.0.0.0:5060\n'
	if [ -n "${EXTERNAL_ADDRESS:-}" ]; then
		printf 'external_media_address = %s\nexternal_signaling_address = %s\n' "$EXTERNAL_ADDRESS" "$EXTERNAL_ADDRESS"
		for net in $(own_nets) $(echo "${LOCAL_NETS:-}" | tr , ' '); do printf 'local_net = %s\n' "$net"; done
	fi
} >"$made/transport.conf"

if [ -z "${EXTERNAL_ADDRESS:-}" ]; then
	case ${SIP_LISTEN:-127.0.0.1} in
	127.*) ;;
	*) echo "entrypoint: EXTERNAL_ADDRESS is empty: phones and trunks are told this container's own address, which they do not reach" >&2 ;;
	esac
fi

printf 'CCARI_AGI = %s\n' "${CCARI_AGI:-127.0.0.1:4573}" >"$made/globals.conf"

unset password
# ccari, another user of the group, must be able to read recordings
umask 027
exec "$@"
