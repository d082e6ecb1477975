#!/bin/sh
# Make what compose.yaml wants and nobody should choose by hand: the passwords, as files, and .env to set the rest in.
# What is there is left alone.
set -eu
cd "$(dirname "$0")"
[ -e .env ] || cp .env.example .env
# a container's user must be able to read the files; the folder keeps everybody else on this machine out
mkdir -p -m 0700 secrets
for each in ari_password database_password; do
	[ -e "secrets/$each" ] || { od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"secrets/$each" && chmod 0444 "secrets/$each"; }
done
