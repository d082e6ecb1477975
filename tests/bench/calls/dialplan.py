"""Asterisk alone: func_odbc asks PostgreSQL whether the number is barred, and cdr_pgsql records the call there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import Place
from tests.bench.calls.way import Controller, NotHereError
from tests.lab.errors import LabError
from tests.lab.root import output

#: Debian packages, unpacked beside the laboratory's root, which has neither.
PACKAGES = ("odbc-postgresql", "libodbcinst2")
FETCH_SECONDS = 120.0
BARRED = 100_000
_LOOKED_UP = """
    CREATE TABLE suppressed (number text PRIMARY KEY);
    INSERT INTO suppressed SELECT '+48700' || lpad(n::text, 6, '0') FROM generate_series(1, {barred}) AS n;
    ANALYZE suppressed;
"""
_CDR = """
    CREATE TABLE cdr (
        calldate timestamptz, clid text, src text, dst text, dcontext text, channel text, dstchannel text, lastapp text,
        lastdata text, duration integer, billsec integer, disposition text, amaflags integer, accountcode text,
        uniqueid text, userfield text, linkedid text, peeraccount text, sequence integer
    );
"""


class Dialplan:
    name = "dialplan"
    does = "look-up by func_odbc, CDR by cdr_pgsql"
    _driver: Path | None = None

    async def fetch(self, place: Place) -> None:
        folder = place.new_folder("odbc")
        try:
            await output(
                *("sh", "-c", 'cd "$1" && shift && apt-get download -qq "$@"', "sh", str(folder), *PACKAGES),
                seconds=FETCH_SECONDS,
            )
            for package in folder.glob("*.deb"):
                await output("dpkg", "-x", str(package), str(folder))
        except LabError as error:
            raise NotHereError(f"apt does not give {' and '.join(PACKAGES)}: {error}") from None
        self._driver = next(folder.glob("usr/lib/*/odbc")).parent

    async def wanted(self, place: Place) -> Wanted:
        database = await place.new_database()
        await run(database, _LOOKED_UP.format(barred=BARRED), _CDR)
        return Wanted("bench-dialplan", database, place.plain_notice, cdr=True, driver=self._driver)

    @asynccontextmanager
    async def controlling(
        self, place: Place, exchange: Exchange, wanted: Wanted
    ) -> AsyncIterator[Controller]:
        yield Controller((), exchange.pbx.spool)


async def with_cdr(place: Place) -> Wanted:
    """The common part of the ways that control a plain Asterisk over ARI."""
    database = await place.new_database()
    await run(database, _CDR)
    return Wanted("bench-ari", database, place.plain_notice, cdr=True)


async def run(database: str, *statements: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("".join(statements))
    finally:
        await connection.close()
