"""The machine's own PostgreSQL, by its URL and with a password: the same SQL, and clear words when it refuses."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr

from ccari.config import DatabaseSection
from ccari.errors import StoreError
from ccari.policy.gate import AttemptsMade
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.store.calls import PostgresCallStore
from ccari.store.connecting import CONNECT_SECONDS
from ccari.store.database import COMMAND_SECONDS
from ccari.store.migrating import OLDEST_SERVER, open_database
from ccari.store.opened import Store
from ccari.store.policies import Policies
from tests.lab.ports import free_port
from tests.postgres import named
from tests.unit.store import made

PASSWORD = "s3cret-p4ssword"  # noqa: S105 - of a server that lives for this file
ROOM_SECONDS = 10.0
USERS = ("postgres", "ccari")


@dataclass(frozen=True)
class Server:
    dsn: str
    cluster: Path

    def other(self, *, user: str = "ccari", password: str = PASSWORD, database: str = "ccari") -> str:
        parts = urlsplit(self.dsn)
        netloc = f"{user}:{password}@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))

    def processes(self) -> list[int]:
        first = int((self.cluster / "postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]


def _binaries() -> Path | None:
    if (told := named()) is not None:
        return told
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    fit = [path.parent for path in found if int(path.parts[4]) >= OLDEST_SERVER]
    return fit[-1] if fit else None


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in USERS if name in known), None)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip(f"no PostgreSQL {OLDEST_SERVER} or newer in /usr/lib/postgresql")
    user = _user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no user for it")
    folder = Path(tempfile.mkdtemp(prefix="ccari-own-server-"))
    if user is not None:
        shutil.chown(folder, user)
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)

    def run(*command: str) -> None:
        with (folder / "said").open("ab") as said:
            subprocess.run(
                [f"{binaries}/{command[0]}", *command[1:]], user=user, check=True, cwd="/", stdout=said,
                stderr=said, env={"PGPASSWORD": PASSWORD, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )  # fmt: skip

    cluster = folder / "cluster"
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    run("initdb", f"--pgdata={cluster}", "--username=ccari", "--auth=scram-sha-256", f"--pwfile={secret}")
    try:
        run("pg_ctl", "start", "--wait", f"--pgdata={cluster}", f"--log={folder}/log", f"--options={options}")
        run("createdb", "--host=127.0.0.1", f"--port={port}", "--username=ccari", "ccari")
        yield Server(f"postgresql://ccari:{PASSWORD}@127.0.0.1:{port}/ccari", cluster)
    finally:
        run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={cluster}")
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_call_cannot_be_kept_on_a_server_of_ones_own(server: Server) -> None:
    async with open_database(server.dsn) as database:
        calls, store = PostgresCallStore(database), Store(server.dsn, database)
        assert await store.policies.apply(made.POLICY, "test") == 1
        call = made.call()
        facts, revision = await calls.open(call, made.QUESTION)
        assert (facts.suppressions, facts.attempts, revision) == ((), AttemptsMade(), 1)
        first = made.journal("call_gated")
        assert await calls.spend_token(call, made.QUESTION, made.judge, first) is None
        heard = made.journal("notice_heard")
        await calls.commit_heard(call.id, "v1", "i1", heard)
        tag = made.tag(call)
        await store.recordings.tag(tag, ())
        await store.recordings.started(tag.recording_id, made.NOW)
        await store.recordings.stored(tag, made.KEPT, ())
        assert await calls.register_right(call, made.exercise(Right.ERASURE), ()) == "ACME-2026-000001"
        await calls.close(call.id, "right_exercised", "erasure", made.journal("call_ended"))
        shown = await store.records.show_call(call.id)
        assert ([each["event"] for each in shown.events], shown.fault) == (
            ["call_gated", "notice_heard", "call_ended"], None,
        )  # fmt: skip
        facts, _ = await calls.open(made.call(), made.QUESTION)
        assert [each.reason for each in facts.suppressions] == [Reason.ERASURE]
        assert (facts.attempts, set(facts.informed)) == (AttemptsMade(1, 1, 1), {"i1"})
    async with open_database(server.dsn) as database:
        assert await Policies(database).apply(made.POLICY, "test") == 1


async def test_a_wrong_password_user_or_database_is_not_named_or_the_password_is(server: Server) -> None:
    cases = {
        server.other(password="wr0ng"): "refused the user or password: check [database] url",  # noqa: S106
        server.other(user="nobody"): "refused the user or password: check [database] url",
        server.other(database="missing"): 'database "missing" does not exist',
    }
    for dsn, words in cases.items():
        with pytest.raises(StoreError) as refused:
            async with open_database(dsn):
                pass
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
        assert not {"wr0ng", PASSWORD} & set(str(refused.value).split())


async def test_a_user_who_may_not_make_the_schema_is_told_nothing_of_it(server: Server) -> None:
    async with open_database(server.dsn) as database, database.connection() as connection:
        await connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    with pytest.raises(StoreError, match="permission denied"):
        async with open_database(server.other(user="guest")):
            pass


@pytest.mark.parametrize("asked", ["", "?sslmode=disable", "?target_session_attrs=read-write"])
async def test_a_password_that_is_changed_keeps_a_running_service_away_from_its_database(
    server: Server, tmp_path: Path, asked: str
) -> None:
    """Also a password that a URL would parse differently."""
    changed = "a+b &c=%2F#d?é"
    (file := tmp_path / "password").write_text(f"{PASSWORD}\n")
    url = SecretStr(server.dsn.replace(f":{PASSWORD}", "") + asked)
    dsn = DatabaseSection(url=url, password_file=file).dsn()
    assert dsn is not None
    async with open_database(dsn) as database, database.connection() as first:
        await first.execute(f"ALTER ROLE ccari PASSWORD '{changed}'")
        try:
            with pytest.raises(StoreError, match="refused the user or password"):
                await database.rows("SELECT 1")
            file.write_text(f"{changed}\n")
            assert await database.rows("SELECT 1 AS one") == [{"one": 1}]
            file.unlink()
            with pytest.raises(StoreError, match=f"password_file {file}: No such file"):
                async with database.outside_pool():
                    pytest.fail("it is connected")
        finally:
            await first.execute(f"ALTER ROLE ccari PASSWORD '{PASSWORD}'")


async def test_a_server_that_is_stopped_holds_a_call_or_a_start(server: Server) -> None:
    """All of its processes are stopped, as when its disk hangs: a call is refused within a time limit, and works again
    afterwards.
    """
    async with open_database(server.dsn) as database:
        calls = PostgresCallStore(database)
        call = made.call()
        await calls.open(call, made.QUESTION)
        stopped = server.processes()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            results = await asyncio.gather(
                calls.open(made.call(), made.QUESTION),
                calls.spend_token(call, made.QUESTION, made.judge, made.journal("call_gated")),
                calls.register_right(call, made.exercise(), ()),
                return_exceptions=True,
            )
            call_took = time.monotonic() - began
            with pytest.raises(StoreError, match="did not answer in time"):
                async with open_database(server.dsn):
                    pass
            start_took = time.monotonic() - began - call_took
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert [type(result) for result in results] == [StoreError] * 3, results
        assert call_took < COMMAND_SECONDS + ROOM_SECONDS
        assert start_took < CONNECT_SECONDS + ROOM_SECONDS
        await calls.close(call.id, "unavailable", "store_unavailable", ())
