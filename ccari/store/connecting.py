"""Opening one connection to PostgreSQL, with what every session of ours needs, whatever an administrator has set for others."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import asyncpg

from ccari.errors import StoreError
from ccari.store import moments

Connection = asyncpg.Connection

CONNECT_SECONDS = 5.0
#: PostgreSQL notices within a dozen seconds that the client is gone. No limit applies but those that the caller sets: one that is meant
#: for others would break off an import, an export or a migration.
_SETTINGS = {
    "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
#: What is set only if it is otherwise; not every version has all. Under another isolation, whoever has waited for a number's lock does
#: not see the bars that were committed meanwhile; and a policy for rows may hide bars, unless it is to be an error. Without a synchronous
#: commit, a right would be confirmed to the person before it is on the server's disk; where a standby is waited for in some way, it stays so.
_SET_RIGHT = """
SELECT set_config(name, ours, false)
FROM (VALUES ('default_transaction_isolation', 'read committed'), ('row_security', 'off'), ('lock_timeout', '0'),
             ('transaction_timeout', '0')) AS _ (name, ours)
WHERE current_setting(name, true) <> ours;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
_READ_ONLY = "default_transaction_read_only"
UNWRITABLE = (
    "the database cannot be written to: [database] url must lead to the primary, not to a replica, "
    f"and {_READ_ONLY} must be off there"
)
_NO_URL = "[database] url must look like postgresql://USER:PASSWORD@HOST:PORT/DATABASE (escape / @ : # ? in a password)"


async def connect(
    dsn: str, *, server_settings: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> Connection:
    """Open one connection.

    Raises StoreError for a URL that is none, or if what it leads to cannot be written to, unless the settings make it read-only; the
    caller has to have other failures translated.
    """
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise StoreError(_NO_URL)
    settings = {**_SETTINGS, **server_settings}
    try:
        connection: Connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, server_settings=settings, **options
        )
    except (ValueError, OverflowError):
        # the parser's message may quote a piece of the password
        raise StoreError(_NO_URL) from None
    except asyncpg.TargetServerAttributeNotMatched:
        raise StoreError(UNWRITABLE) from None
    try:
        if settings.get(_READ_ONLY) != "on":
            _refuse_unwritable(connection)
        async with asyncio.timeout(CONNECT_SECONDS):
            await moments.read_all(connection)
            await connection.execute(_SET_RIGHT)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _refuse_unwritable(connection: Connection) -> None:
    """By what the server has said of itself. A replica may lack the newest bars, and so may a primary that was made read-only because
    another takes its place: the gate must not ask either.
    """
    said = connection.get_settings()
    if any(getattr(said, each, "off") == "on" for each in ("in_hot_standby", _READ_ONLY)):
        raise StoreError(UNWRITABLE)
