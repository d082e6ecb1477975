#!/bin/sh
# Create what compose.yaml needs: random passwords as files, .env for the other settings, and site/ for your trunks, phones and
# dialplan. Existing files are left alone.
set -eu
cd "$(dirname "$0")"
[ -e .env ] || cp .env.example .env
# the users of Asterisk and Prometheus must be able to read these, whatever this machine's umask is
[ -e site ] || { cp -R site.example site && chmod -R a+rX site; }
chmod -R a+rX demo prometheus
# a container's user must be able to read the files; the folder keeps everybody else on this machine out
mkdir -p -m 0700 secrets
for each in ari_password database_password; do
	[ -s "secrets/$each" ] && continue
	od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$each"
	chmod 0444 "secrets/$each"
done
