"""Opens one connection to PostgreSQL, with the session settings that ccari needs, whatever defaults an administrator has set."""

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
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg

from ccari.config import PASSWORD_FILE, password_in
from ccari.errors import ConfigError, StoreError, why
from ccari.own_threads import OwnThreads
from ccari.store import arrays, moments, text_order, timelines
from ccari.tasks import started

Connection = asyncpg.Connection

CONNECT_SECONDS = 5.0
#: How long a host of the URL may stay silent before the next one is tried in parallel. A host without power refuses no connection, and a
#: call only waits two seconds.
NEXT_HOST_SECONDS = 0.5
#: How long a host may take to accept us and report its timeline: some ten round trips. If a host has lost its power, every command waits
#: this long.
HOST_SAYS_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 10.0
#: PostgreSQL notices within a dozen seconds that the client is gone. Only limits that the caller sets apply: an administrator's limit for
#: other clients would break off an import, an export or a migration.
_SETTINGS = {
    "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
#: Not every version has all of these settings. Each is set even if it already has this value: a value that the session has not set itself
#: changes whenever the server reloads its configuration. At another isolation level, a transaction that waited for a number's lock would
#: not see bars committed meanwhile. A row security policy could hide bars: with row_security off it is an error instead. JIT compiles a
#: plan that PostgreSQL expects to be expensive, such as sealing many journals, for seconds, longer than the statement's time-out; without
#: it the statement takes milliseconds. Without synchronous commit, a right would be confirmed to the person before it is on the server's
#: disk; a value that waits for a standby is kept. Without triggers no webhook is told of anything, and what is append-only can be changed;
#: only some users may turn them on.
_SET_RIGHT = """
SELECT set_config(name, ours, false)
FROM (VALUES ('default_transaction_isolation', 'read committed'), ('row_security', 'off'), ('lock_timeout', '0'),
             ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('jit', 'off')) AS _ (name, ours)
WHERE current_setting(name, true) IS NOT NULL;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'on');
SELECT set_config('session_replication_role', 'origin', false) WHERE current_setting('session_replication_role') = 'replica'
"""
_READ_ONLY = "default_transaction_read_only"
UNWRITABLE = (
    "the database cannot be written to: [database] url must lead to the primary, not to a replica, "
    f"and {_READ_ONLY} must be off there"
)
WITHOUT_TRIGGERS = (
    "triggers are off in the database, which ccari needs, and its user may not turn them on: an administrator must reset "
    "session_replication_role (ALTER DATABASE … RESET session_replication_role; or ALTER ROLE, or in postgresql.conf)"
)
#: If a pooler changes the session with each transaction, the new session lacks :data:`_SET_RIGHT`, and session locks outlive their
#: holder.
SHARED = (
    "a pooler between ccari and PostgreSQL lends sessions for a transaction only, in which ccari's locks and settings are lost: "
    "set pool_mode = session there, or let [database] url lead to PostgreSQL itself"
)
#: How many times to check whether two connections share a session: a busy pooler with many sessions may hide it from a single check.
_LOOKS = 20
_FILES_OF_PASSWORDS = OwnThreads("ccari-password")
#: File parameters that a URL may have.
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
#: How asyncpg's messages about TLS parameters in a URL begin. The first is about a file in the home folder, if the URL names none.
_NO_ROOT, _ABOUT_TLS = "root certificate file", "`sslmode`"
_NAME_ROOT = (
    "sslmode=verify-ca and verify-full need sslrootcert=FILE, with the certificate of the server's authority"
)
#: What connecting raises if the server is away, hangs, or is not PostgreSQL.
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
    """Open a connection to the first of the URL's hosts that accepts writes. ``read_only``: make the session read-only all the same.
    ``any_order``: skip the check of the indexes' sort order (:mod:`ccari.store.text_order`), because the caller looks nothing up.

    Raises StoreError for an invalid URL, or if no host accepts writes. The caller translates all other errors.
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
            partial(_connect, each, settings, options, read_only=read_only, any_order=any_order)
            for each in hosts
        ]
    )


async def look_at_each(dsn: str) -> None:
    """If the URL has several hosts, learn which of them was promoted last: without that, the first host that accepts writes would be
    used. Raises nothing. A host that is away, or takes longer than :data:`HOST_SAYS_SECONDS`, is skipped.
    """
    with contextlib.suppress(ValueError):
        if len(hosts := _each_host(dsn)) > 1:
            await _look_at_all(hosts)


async def keep_looking(dsn: str) -> None:
    """Look at the hosts repeatedly: a connection goes to the first host that answers, and a replaced primary may keep answering for days. So
    it may where a name or an address was moved to another, through connections that were opened before. One Unix socket leads nowhere else.
    """
    hosts = _each_host(dsn)
    while len(hosts) > 1 or not _is_socket(dsn):
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        if len(hosts) > 1 or timelines.tells(dsn):
            await _look_at_all(hosts)


async def _look_at_all(hosts: Sequence[str]) -> None:
    async with started(*map(_look_at, hosts)) as looks:
        await asyncio.wait(looks, timeout=HOST_SAYS_SECONDS)


async def _look_at(host: str) -> None:
    with contextlib.suppress(StoreError, *_FAILURES):
        connection = await _connect(host, _SETTINGS, {}, read_only=True, any_order=True)
        connection.terminate()


async def close(connection: Connection) -> None:
    """Close the connection, or terminate it if the server is silent: its work is committed, whether or not it closes cleanly."""
    with contextlib.suppress(*_FAILURES):
        await connection.close(timeout=CONNECT_SECONDS)


async def refuse_shared(connection: Connection, dsn: str) -> None:
    """Raise StoreError if a pooler shares the connection's server session with other clients. The caller translates all other errors."""
    session = await _session(connection)
    if session == connection.get_server_pid():
        # the server itself answered, without a pooler in between
        return
    another = await connect(dsn, any_order=True)
    try:
        for _ in range(_LOOKS):
            # open a transaction here while the first connection idles. Not asyncpg's: it would roll back, and wait for a pooler that
            # hangs
            await another.execute("BEGIN", timeout=CONNECT_SECONDS)
            shares = session == await _session(another) or session != await _session(connection)
            await another.execute("COMMIT", timeout=CONNECT_SECONDS)
            if shares:
                raise StoreError(SHARED)
    finally:
        another.terminate()


async def _session(connection: Connection) -> int:
    """The PID of the server process that runs this statement."""
    process: int = await connection.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_SECONDS)
    return process


async def _connect(
    dsn: str,
    settings: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    read_only: bool,
    any_order: bool,
) -> Connection:
    """Like :func:`connect`, for one host."""
    connection = await _open(dsn, settings, options)
    try:
        refuse_unwritable(connection)
        async with asyncio.timeout(CONNECT_SECONDS):
            await moments.read_all(connection)
            arrays.know(connection)
            try:
                with text_order.refused():
                    await connection.execute(
                        _SET_RIGHT if any_order else f"{_SET_RIGHT};{text_order.REFUSE_ANOTHER}"
                    )
            except asyncpg.InsufficientPrivilegeError:
                raise StoreError(WITHOUT_TRIGGERS) from None
            await timelines.learn(connection, dsn)
            timelines.refuse_replaced(connection)
            if read_only:
                # set afterwards: as a start-up setting it would look like the server's own, and fail a URL that asks for a writable host
                await connection.execute(f"SET {_READ_ONLY} TO on")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _open(dsn: str, settings: Mapping[str, str], options: Mapping[str, Any]) -> Connection:
    """Open a connection, as it is. Raises StoreError where asyncpg's own error would not say what to do."""
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
        if words.startswith(_NO_ROOT):
            raise StoreError(f"[database] url: {_NAME_ROOT}") from None
        # the parser's other messages may quote part of the password
        raise StoreError(f"[database] url: {words}" if words.startswith(_ABOUT_TLS) else _NO_URL) from None
    except asyncpg.TargetServerAttributeNotMatched:
        raise StoreError(UNWRITABLE) from None
    return connection


async def _password_of(dsn: str) -> tuple[str, str | None]:
    """The password from the file that the URL names, if any, and the URL without that parameter. The file is read for each connection, so
    that the password can be changed while the service runs.
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
    """Unset HOME if we cannot read our home folder, as under systemd's ProtectHome=: asyncpg looks there for PostgreSQL's files
    (``~/.pgpass``, ``~/.postgresql``). They are optional, but it fails if it is not allowed to look.
    """
    with contextlib.suppress(RuntimeError):
        try:
            (Path.home() / ".postgresql").stat()
        except PermissionError:
            # there is nothing below it
            os.environ["HOME"] = os.devnull
        except OSError:
            pass


def _refuse_unreadable_files(dsn: str) -> None:
    """Raise StoreError if a file that the URL names cannot be read: the original error does not say which file."""
    query = dict(parse_qsl(urlsplit(dsn).query))
    for name in _FILES & query.keys():
        try:
            Path(query[name]).open("rb").close()
        except OSError as error:
            raise StoreError(f"[database] url: {name}: cannot read {query[name]}: {why(error)}") from None


def refuse_outdated(connection: Connection) -> None:
    """Raise StoreError if the gate must not ask the connection's server: it is read-only, or another primary has replaced it."""
    refuse_unwritable(connection)
    timelines.refuse_replaced(connection)


def refuse_unwritable(connection: Connection) -> None:
    """Raise StoreError if the server reports that it is read-only, at connection or since: changes arrive with the answer to a statement.
    A replica may lack the newest bars. So may a primary that was made read-only because another is taking its place. The gate must ask
    neither.
    """
    said = connection.get_settings()
    if any(getattr(said, each, "off") == "on" for each in ("in_hot_standby", _READ_ONLY)):
        raise StoreError(UNWRITABLE)


def _each_host(dsn: str) -> list[str]:
    """One URL for each host. Given all of them, asyncpg would wait for a silent host until the time-out and never try the next."""
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


def _is_socket(dsn: str) -> bool:
    parts = urlsplit(dsn)
    named = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
    return unquote(named).startswith("/")


async def _first(attempts: Sequence[Callable[[], Coroutine[Any, Any, Connection]]]) -> Connection:
    """The first connection to be established. The next attempt begins when one fails, or when the last has taken
    :data:`NEXT_HOST_SECONDS`.

    If all fail, raises the most telling error: preferably one from a host that answered and is not merely read-only.
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
        # not awaited: a caller that is cancelled at this moment would leak the connection that is already open
        for each in under_way:
            each.add_done_callback(_let_go)
            each.cancel()
    raise min(failures, key=_tells_less)


def _let_go(late: asyncio.Task[Connection]) -> None:
    if not late.cancelled() and late.exception() is None:
        late.result().terminate()


def _tells_less(failure: BaseException) -> int:
    """A sort key: the higher, the less the error explains why no host serves. A host that is away, or is a replica, may be normal."""
    if isinstance(failure, OSError):
        return 2
    return int(isinstance(failure, StoreError) and str(failure) == UNWRITABLE)
