#!/bin/sh
# What Docker's own entry point does when it is not root: make the cluster once, then run it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 >/dev/null
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
	createdb --username="$POSTGRES_USER" "${POSTGRES_DB:-$POSTGRES_USER}" 2>/dev/null || true
	pg_ctl --wait --mode=fast stop >/dev/null
fi
[ "$1" = postgres ] && set -- "$@" -c "listen_addresses=*"
exec "$@"
