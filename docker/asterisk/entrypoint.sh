#!/bin/sh
# Write what differs from one installation to the next, and what is secret, where only this container sees it; then run.
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

# What phones and trunks outside are told to send to, where Docker's address is none that they reach.
{
	printf '[udp]\ntype = transport\nprotocol = udp\nbind = 0.0.0.0:5060\n'
	if [ -n "${EXTERNAL_ADDRESS:-}" ]; then
		printf 'external_media_address = %s\nexternal_signaling_address = %s\n' "$EXTERNAL_ADDRESS" "$EXTERNAL_ADDRESS"
		for net in ${LOCAL_NETS:-10.0.0.0/8 172.16.0.0/12 192.168.0.0/16}; do printf 'local_net = %s\n' "$net"; done
	fi
} >"$made/transport.conf"

printf 'CCARI_AGI = %s\n' "${CCARI_AGI:-127.0.0.1:4573}" >"$made/globals.conf"

unset password
# ccari, another user of the group, reads what is recorded
umask 027
exec "$@"
