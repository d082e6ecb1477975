"""Which of several servers is the primary: a promoted standby starts a new timeline of the write-ahead log.

The old primary may still be running, or come back, and accept writes; but it lacks the bars entered since the promotion.
"""

from weakref import WeakKeyDictionary

import asyncpg

from ccari.errors import StoreError

#: The timeline from the name of the current WAL file: while a standby is being promoted, its control file still has the old timeline.
_TIMELINE = "SELECT system_identifier AS server, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline FROM pg_control_system()"
#: The newest timeline seen by this process, by the system identifier, which a server shares with its standbys.
_newest: dict[int, str] = {}
_of: WeakKeyDictionary[asyncpg.Connection, tuple[int, str]] = WeakKeyDictionary()
#: By a URL with one host: the server and timeline that it led to at the last look, and how often that has changed.
_led_to: dict[str, tuple[tuple[int, str], int]] = {}
#: The URL that a connection was opened by, and how often that had led elsewhere by then.
_opened_by: WeakKeyDictionary[asyncpg.Connection, tuple[str, int]] = WeakKeyDictionary()
REPLACED = (
    "the database is on a primary that is one no more, as another has taken its place: bars since then are not in it; shut it down, or "
    "make it a standby of the other"
)

MOVED = "the host of [database] url is another server, or on another timeline, since this connection was opened; the next one leads there"


async def learn(connection: asyncpg.Connection) -> None:
    """Ask for the timeline of the connection's server. A server that does not tell, as a provider's may not, is not checked."""
    try:
        (row,) = await connection.fetch(_TIMELINE)
    except asyncpg.PostgresError:
        return
    server, timeline = row["server"], row["timeline"]
    _of[connection] = server, timeline
    _newest[server] = max(timeline, _newest.get(server, timeline))


def opened_by(connection: asyncpg.Connection, url: str) -> None:
    """Note that the connection was opened by a URL with one host, whose name or address may lead elsewhere later."""
    _opened_by[connection] = url, _changes(url)


def led_to(connection: asyncpg.Connection, url: str) -> None:
    """Note where the URL leads now: to the server of this connection, which was just opened and has told its timeline."""
    if (found := _of.get(connection)) is None:
        return
    before, changes = _led_to.get(url, (found, 0))
    _led_to[url] = found, changes + (found != before)


def _changes(url: str) -> int:
    return _led_to[url][1] if url in _led_to else 0


def refuse_replaced(connection: asyncpg.Connection) -> None:
    """Raise StoreError if a newer timeline than the connection's has been seen since it was opened, or its host leads elsewhere now."""
    url, changes = _opened_by.get(connection, ("", 0))
    if changes < _changes(url):
        raise StoreError(MOVED)
    server, timeline = _of.get(connection, (0, ""))
    if timeline < _newest.get(server, timeline):
        raise StoreError(REPLACED)
