"""Which of several servers is the primary: a standby that takes over begins another timeline of the log.

The primary whose place it takes may still be there, or come back, and can be written to as well; but the bars since then are not in it.
"""

from weakref import WeakKeyDictionary

import asyncpg

from ccari.errors import StoreError

#: By the digits with which the names of the log's files begin: while a new primary begins, its control file has the old timeline.
_TIMELINE = "SELECT system_identifier AS server, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline FROM pg_control_system()"
#: The newest timeline that this process has seen, by the identifier that a server has in common with its standbys.
_newest: dict[int, str] = {}
_of: WeakKeyDictionary[asyncpg.Connection, tuple[int, str]] = WeakKeyDictionary()
REPLACED = (
    "the database is on a primary that is one no more, as another has taken its place: bars since then are not in it; shut it down, or "
    "make it a standby of the other"
)


async def learn(connection: asyncpg.Connection) -> None:
    """Ask on which timeline the connection's server is. One that does not say is not looked at any further, as a provider's may be."""
    try:
        (row,) = await connection.fetch(_TIMELINE)
    except asyncpg.PostgresError:
        return
    server, timeline = row["server"], row["timeline"]
    _of[connection] = server, timeline
    _newest[server] = max(timeline, _newest.get(server, timeline))


def refuse_replaced(connection: asyncpg.Connection) -> None:
    """Raise StoreError if a newer timeline than the connection's has been seen since it was opened."""
    server, timeline = _of.get(connection, (0, ""))
    if timeline < _newest.get(server, timeline):
        raise StoreError(REPLACED)
