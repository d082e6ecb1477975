"""Checks that the database answers, that its schema is up to date, and that its clock agrees with this machine's."""

import shlex
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta

from ccari.cli.doctor.findings import Finding, fault, in_daemon_thread, ok, warning
from ccari.config import Settings
from ccari.store.migrating import ANOTHER_ENCODING, ANOTHER_VERSION, ENCODING, OLDEST_SERVER, of_newer, unfit
from ccari.store.opened import Store
from ccari.store.translating import ANOTHER_OWNER, unprivileged
from ccari.store.untouched import AnothersError, Schema, Server, find_embedded, open_untouched, schema, server

#: The maximum round-trip time: a right takes some twenty-five round trips, which the person who pressed it waits for: docs/scaling.md.
MOST_AWAY = timedelta(milliseconds=50)
#: How far two clocks may differ: one records hours, limits and tokens, and the other judges them.
MOST_APART = timedelta(seconds=2)
#: From here on PostgreSQL drops everything else to free transaction ids (vacuum_failsafe_age).
MOST_IDS = 1_600_000_000
_MIGRATE = "ccari serve applies them when it starts; or now: ccari db migrate"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The database as it is. An embedded server that runs is used, otherwise started for the check; it is never created."""
    async with _dsn(settings) as dsn, open_untouched(dsn) as store:
        yield store


@asynccontextmanager
async def _dsn(settings: Settings) -> AsyncIterator[str]:
    url = await in_daemon_thread(settings.database.dsn)
    if url is not None:
        yield url
        return
    embedded = await in_daemon_thread(lambda: find_embedded(settings.data_dir))
    async with embedded.joined() as dsn:
        yield dsn


def of_another_user(error: AnothersError) -> Finding:
    """The finding if the embedded database belongs to another user: only they can check it."""
    if error.owner is None:
        return warning("database", str(error), "run ccari doctor as the user of the service, or as root")
    return warning("database", str(error), f"runuser -u {shlex.quote(error.owner)} -- ccari doctor")


def mend(settings: Settings) -> str:
    """What to do about a database that does not answer."""
    if settings.database.url is None:
        return f"see {settings.data_dir / 'postgresql' / 'server.log'}"
    return "check [database] url, and that PostgreSQL is running there and lets ccari in"


async def database(store: Store, settings: Settings) -> list[Finding]:
    found = await server(store.database)
    return [
        *_server(found, embedded=settings.database.url is None),
        *_lasting(found),
        clock("database", found.ahead),
    ]


def _server(found: Server, *, embedded: bool) -> Iterator[Finding]:
    name = f"{'the embedded ' if embedded else ''}PostgreSQL {found.version}"
    if found.too_old:
        yield fault("database", f"{name} is too old", f"ccari needs PostgreSQL {OLDEST_SERVER} or newer")
    elif found.encoding != ENCODING:
        yield fault("database", unfit(found.encoding), ANOTHER_ENCODING)
    elif found.denied:
        yield fault("database", unprivileged(found.denied), ANOTHER_OWNER)
    else:
        answers = f"{name} answers in {found.round_trip.total_seconds() * 1000:.0f} ms"
        if found.round_trip > MOST_AWAY:
            yield warning("database", f"{answers}: rights may take longer to be registered than people wait, and each then holds up calls",
                          f"run it closer: within {MOST_AWAY.total_seconds() * 1000:.0f} ms")  # fmt: skip
        else:
            yield ok("database", answers)


def _lasting(found: Server) -> Iterator[Finding]:
    """Faults of the server that show only later."""
    if found.careless:
        yield warning("database durability", f"the server has {_set(found.careless, 'off')}: after a power cut it may lack rights that were confirmed, or be damaged",
                      f"set {_set(found.careless, 'on')} there, and reload it")  # fmt: skip
    if found.ids_used >= MOST_IDS:
        yield warning("database ids", f"{found.ids_used:,} of some 2,144,000,000 transaction ids are used: with the last one, nobody is called any more",
                      "run vacuumdb --all there, and see why autovacuum does not do it: is it off, or is a transaction left open (pg_stat_activity, pg_prepared_xacts)?")  # fmt: skip


def _set(names: Iterable[str], to: str) -> str:
    return ", ".join(f"{each} = {to}" for each in names)


def clock(whose: str, ahead: timedelta, coarse: timedelta = timedelta()) -> Finding:
    """Whether a clock that is ``ahead`` of ours agrees with it. ``coarse``: its resolution."""
    seconds = ahead.total_seconds()
    if abs(ahead) > MOST_APART + coarse:
        off = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"
        return warning(f"clock {whose}", f"it is {off} this machine's",
                       "set both by NTP: timedatectl set-ntp true, there and here")  # fmt: skip
    return ok(f"clock {whose}", f"within {(MOST_APART + coarse).total_seconds():.0f} s of this machine's")


async def migrations(store: Store) -> list[Finding]:
    return [_schema(await schema(store.database))]


def _schema(found: Schema) -> Finding:
    if found.unknown:
        return fault("schema", of_newer(found.unknown), ANOTHER_VERSION)
    if not found.applied:
        return warning("schema", "the database is still empty", _MIGRATE)
    if found.pending:
        return warning("schema", f"not applied yet: {', '.join(found.pending)}", _MIGRATE)
    return ok("schema", f"up to date: {len(found.applied)} migrations are applied")
