"""Opening one connection to PostgreSQL, with what every session of ours needs, whatever an administrator has set for others."""

import asyncio
import contextlib
import os
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from ccari.config import PASSWORD_FILE, password_in
from ccari.errors import ConfigError, StoreError, why
from ccari.own_threads import OwnThreads
from ccari.store import moments, text_order, timelines
from ccari.tasks import started

Connection = asyncpg.Connection

CONNECT_SECONDS = 5.0
#: How long a host of the URL may be silent before the next is asked as well. One that has lost its power refuses nobody, and a call
#: waits for two seconds.
NEXT_HOST_SECONDS = 0.5
#: How long a host may take to let us in and say which timeline it is on: some ten round trips. Each command waits as long for one that
#: has lost its power.
HOST_SAYS_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 10.0
#: PostgreSQL notices within a dozen seconds that the client is gone. No limit applies but those that the caller sets: one that is meant
#: for others would break off an import, an export or a migration.
_SETTINGS = {
    "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
#: Not every version has all. Each is set even if it is so already: what a session has not set itself becomes another whenever the
#: server reads its settings anew. Under another isolation, whoever has waited for a number's lock does not see the bars that were
#: committed meanwhile; and a policy for rows may hide bars, unless it is to be an error. Where PostgreSQL expects a long work, as to seal
#: many journals, it compiles it for seconds (jit), longer than a statement has: without, it takes milliseconds. Without a synchronous
#: commit, a right would be confirmed to the person before it is on the server's disk; where a standby is waited for in some way, it stays
#: so.
_SET_RIGHT = """
SELECT set_config(name, ours, false)
FROM (VALUES ('default_transaction_isolation', 'read committed'), ('row_security', 'off'), ('lock_timeout', '0'),
             ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('jit', 'off')) AS _ (name, ours)
WHERE current_setting(name, true) IS NOT NULL;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'on')
"""
_READ_ONLY = "default_transaction_read_only"
UNWRITABLE = (
    "the database cannot be written to: [database] url must lead to the primary, not to a replica, "
    f"and {_READ_ONLY} must be off there"
)
#: With another session at each transaction, its own would not have :data:`_SET_RIGHT`, and locks would outlive who took them.
SHARED = (
    "a pooler between ccari and PostgreSQL lends sessions for a transaction only, in which ccari's locks and settings are lost: "
    "set pool_mode = session there, or let [database] url lead to PostgreSQL itself"
)
#: How often is looked whether two connections share sessions: where a pooler has many and others use them, one look may miss it.
_LOOKS = 20
_FILES_OF_PASSWORDS = OwnThreads("ccari-password")
#: Files that a URL may name.
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
#: How asyncpg begins to say what is wrong with TLS in a URL.
_ABOUT_TLS = ("root certificate file", "`sslmode`")
#: What becomes of a server that is away, hangs, or is something else.
_FAILURES = (
    TimeoutError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_NO_URL = "[database] url must look like postgresql://USER:PASSWORD@HOST:PORT/DATABASE (escape / @ : # ? in a password)"


async def connect(
    dsn: str,
    *,
    server_settings: Mapping[str, str] = MappingProxyType({}),
    read_only: bool = False,
    any_order: bool = False,
    **options: Any,
) -> Connection:
    """Open a connection to the first of the URL's hosts that can be written to. ``read_only``: it is not used for that, and cannot be.
    ``any_order``: nothing is looked up, so that the indexes may be in another order than the server's (:mod:`ccari.store.text_order`).

    Raises StoreError for a URL that is none, or if no host can be written to; the caller has to have other failures translated.
    """
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise StoreError(_NO_URL)
    settings = {**_SETTINGS, **server_settings}
    try:
        hosts = _each_host(dsn)
    except ValueError:
        raise StoreError(_NO_URL) from None
    return await _first(
        [
            partial(
                _connect,
                each,
                settings,
                options,
                read_only=read_only,
                any_order=any_order,
                one_of_many=len(hosts) > 1,
            )
            for each in hosts
        ]
    )


async def look_at_each(dsn: str) -> None:
    """Where the URL has several hosts, learn which of them was made the primary last: until then the first would do that can be written
    to. Nothing is raised. One that is away, or takes longer than :data:`HOST_SAYS_SECONDS`, is not learnt of.
    """
    with contextlib.suppress(ValueError):
        if len(hosts := _each_host(dsn)) > 1:
            async with started(*map(_look_at, hosts)) as looks:
                await asyncio.wait(looks, timeout=HOST_SAYS_SECONDS)


async def keep_looking(dsn: str) -> None:
    """Look again and again: a connection goes to the first host that answers, and one that was replaced may answer for days."""
    while True:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        await look_at_each(dsn)


async def _look_at(host: str) -> None:
    with contextlib.suppress(StoreError, *_FAILURES):
        connection = await _connect(host, _SETTINGS, {}, read_only=True, any_order=True, one_of_many=True)
        connection.terminate()


async def close(connection: Connection) -> None:
    """Close it, or cut it where the server is silent: what was done with it is done, whatever becomes of its end."""
    with contextlib.suppress(*_FAILURES):
        await connection.close(timeout=CONNECT_SECONDS)


async def refuse_shared(connection: Connection, dsn: str) -> None:
    """Raise StoreError if a pooler lends the connection's session of the server to others as well. The caller has to have other
    failures translated.
    """
    session = await _session(connection)
    if session == connection.get_server_pid():
        # the server itself has answered, not a pooler in its name
        return
    another = await connect(dsn, any_order=True)
    try:
        for _ in range(_LOOKS):
            # in a transaction, while the first one rests. One of asyncpg's would be rolled back, and wait for a pooler that hangs
            await another.execute("BEGIN", timeout=CONNECT_SECONDS)
            shares = session == await _session(another) or session != await _session(connection)
            await another.execute("COMMIT", timeout=CONNECT_SECONDS)
            if shares:
                raise StoreError(SHARED)
    finally:
        another.terminate()


async def _session(connection: Connection) -> int:
    """The process of the server that this statement runs in."""
    process: int = await connection.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_SECONDS)
    return process


async def _connect(
    dsn: str,
    settings: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    read_only: bool,
    any_order: bool,
    one_of_many: bool,
) -> Connection:
    """As :func:`connect`, to one host."""
    dsn, password = await _password_of(dsn)
    _leave_a_closed_home()
    try:
        connection: Connection = await asyncpg.connect(
            dsn, password=password, timeout=CONNECT_SECONDS, server_settings=dict(settings), **options
        )
    except ssl.SSLError as error:
        raise StoreError(f"the database cannot be reached by TLS: {why(error)}") from None
    except OSError:
        _refuse_unreadable_files(dsn)
        raise
    except (ValueError, OverflowError) as error:
        words = str(error).partition("\n")[0]
        # of other things the parser's message may quote a piece of the password
        raise StoreError(f"[database] url: {words}" if words.startswith(_ABOUT_TLS) else _NO_URL) from None
    except asyncpg.TargetServerAttributeNotMatched:
        raise StoreError(UNWRITABLE) from None
    try:
        refuse_unwritable(connection)
        async with asyncio.timeout(CONNECT_SECONDS):
            await moments.read_all(connection)
            with text_order.refused():
                await connection.execute(
                    _SET_RIGHT if any_order else f"{_SET_RIGHT};{text_order.REFUSE_ANOTHER}"
                )
            if one_of_many:
                await timelines.learn(connection)
                timelines.refuse_replaced(connection)
            if read_only:
                # as a setting from the start it would pass for the server's, where the URL asks for one that can be written to
                await connection.execute(f"SET {_READ_ONLY} TO on")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _password_of(dsn: str) -> tuple[str, str | None]:
    """The password in the file that the URL names, if it does; and the URL without that. It is read for each connection, so that it
    can be changed while the service runs.
    """
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    if (file := query.pop(PASSWORD_FILE, None)) is None:
        return dsn, None
    try:
        password = await _FILES_OF_PASSWORDS.within(CONNECT_SECONDS, password_in, Path(file), "database")
    except ConfigError as error:
        raise StoreError(str(error)) from None
    return parts._replace(query=urlencode(query)).geturl(), password


def _leave_a_closed_home() -> None:
    """Have no home if we may not look into ours, as with ProtectHome= in systemd: asyncpg looks there for PostgreSQL's own files
    (``~/.pgpass``, ``~/.postgresql``), which need not be there, and fails if it may not.
    """
    with contextlib.suppress(RuntimeError):
        try:
            (Path.home() / ".postgresql").stat()
        except PermissionError:
            # nothing is below it
            os.environ["HOME"] = os.devnull
        except OSError:
            pass


def _refuse_unreadable_files(dsn: str) -> None:
    """Raise StoreError if a file that the URL names cannot be read: the error for that does not say which."""
    query = dict(parse_qsl(urlsplit(dsn).query))
    for name in _FILES & query.keys():
        try:
            Path(query[name]).open("rb").close()
        except OSError as error:
            raise StoreError(f"[database] url: {name}: cannot read {query[name]}: {why(error)}") from None


def refuse_outdated(connection: Connection) -> None:
    """Raise StoreError if the connection's server is, or has been made since, one that the gate must not ask."""
    refuse_unwritable(connection)
    timelines.refuse_replaced(connection)


def refuse_unwritable(connection: Connection) -> None:
    """Raise StoreError by what the server has said of itself: as it was connected to, and since then, which comes with the answer to a
    statement. A replica may lack the newest bars, and so may a primary that was made read-only because another takes its place: the gate
    must not ask either.
    """
    said = connection.get_settings()
    if any(getattr(said, each, "off") == "on" for each in ("in_hot_standby", _READ_ONLY)):
        raise StoreError(UNWRITABLE)


def _each_host(dsn: str) -> list[str]:
    """The URL once for each of its hosts. asyncpg itself would wait for one that is silent until the time is up, and never ask the next."""
    parts = urlsplit(dsn)
    login, at, named = parts.netloc.rpartition("@")
    query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    hosts = (named or query.get("host", "")).split(",")
    if len(hosts) == 1:
        return [dsn]
    ports = query.get("port", "").split(",")
    each_host = []
    for place, host in enumerate(hosts):
        own = dict(query) if named else {**query, "host": host}
        if len(ports) == len(hosts):
            own["port"] = ports[place]
        each_host.append(parts._replace(netloc=f"{login}{at}{named and host}", query=urlencode(own)).geturl())
    return each_host


async def _first(attempts: Sequence[Callable[[], Coroutine[Any, Any, Connection]]]) -> Connection:
    """The connection that is there first. Each attempt begins when one has failed, or the last has taken :data:`NEXT_HOST_SECONDS`.

    If all fail, raises why one did: if there is one, the one that answered, and could have been written to.
    """
    waiting, under_way = deque(attempts), set[asyncio.Task[Connection]]()
    failures: list[BaseException] = []
    try:
        while waiting or under_way:
            if waiting:
                under_way.add(asyncio.create_task(waiting.popleft()()))
            patience = NEXT_HOST_SECONDS if waiting else None
            done, _ = await asyncio.wait(under_way, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                under_way.remove(each)
                if (failure := each.exception()) is None:
                    return each.result()
                failures.append(failure)
    finally:
        # nobody waits for them: who gives up at that moment would leave the connection that is there already open
        for each in under_way:
            each.add_done_callback(_let_go)
            each.cancel()
    raise min(failures, key=_tells_less)


def _let_go(late: asyncio.Task[Connection]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().terminate()


def _tells_less(failure: BaseException) -> int:
    """The higher, the less it says of why no host serves: that one is away, or is a replica, may well be as it should."""
    if isinstance(failure, OSError):
        return 2
    return int(isinstance(failure, StoreError) and str(failure) == UNWRITABLE)
