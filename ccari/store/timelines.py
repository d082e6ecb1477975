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
#: The server that a URL with one host led to last: its name or address may have been moved.
_led_to: dict[str, int] = {}
#: The URL that a connection was opened by, and the server and timeline that it leads to.
_of: WeakKeyDictionary[asyncpg.Connection, tuple[str, int, str]] = WeakKeyDictionary()
REPLACED = (
    "the database is on a primary that is one no more, as another has taken its place: bars since then are not in it; shut it down, or "
    "make it a standby of the other"
)
MOVED = (
    "the host of [database] url is another server since this connection was opened; the next one leads there"
)


async def learn(connection: asyncpg.Connection, url: str) -> None:
    """Ask for the timeline of the connection's server, which ``url``, of one host, leads to now. A server that does not tell, as a provider's
    may not, is not checked.
    """
    try:
        (row,) = await connection.fetch(_TIMELINE)
    except asyncpg.PostgresError:
        return
    server, timeline = row["server"], row["timeline"]
    _of[connection] = url, server, timeline
    _newest[server] = max(timeline, _newest.get(server, timeline))
    _led_to[url] = server


def tells(url: str) -> bool:
    """Whether a server that the URL led to has told its timeline."""
    return url in _led_to


def refuse_replaced(connection: asyncpg.Connection) -> None:
    """Raise StoreError if a newer timeline than the connection's has been seen since it was opened, or its host leads to another server."""
    url, server, timeline = _of.get(connection, ("", 0, ""))
    if server != _led_to.get(url, server):
        raise StoreError(MOVED)
    if timeline < _newest.get(server, timeline):
        raise StoreError(REPLACED)
