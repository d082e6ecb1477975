"""A PostgreSQL with a standby that takes over: what people are told before, during and after that."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ccari.errors import StoreError
from ccari.policy.gate import Block, Facts
from ccari.policy.numbers import Number
from ccari.policy.suppression import Reason
from ccari.ports.keying import Sought
from ccari.store import connecting, migrating, timelines
from ccari.store import database as databases
from ccari.store.database import Database, as_it_is
from ccari.store.embedded.server import Server
from ccari.store.fence import PostgresFence
from ccari.store.migrating import open_database
from ccari.store.opened import Store
from ccari.store.untouched import open_untouched
from ccari.tasks import beside
from tests.faults.postgres import OwnPostgres
from tests.lab.waiting import until
from tests.postgres import postgres, server, start
from tests.unit.store import made
from tests.unit.store.relayed import Relay, socket_in, socket_of
from tests.unit.store.server import connected, execute
from tests.unit.store.test_replaying import Node

WITHIN = 30.0
WHICH = "SHOW unix_socket_directories"


@dataclass(frozen=True)
class Pair:
    """``dsn``: both servers, whichever may be written to."""

    primary: OwnPostgres
    standby: Server
    dsn: str

    async def promote(self) -> None:
        await self.standby.programs.run("pg_ctl", "promote", "--wait", f"--pgdata={self.standby.cluster}")

    async def is_synchronous(self) -> bool:
        async with connected(self.primary.dsn) as connection:
            states = await connection.fetch("SELECT sync_state FROM pg_stat_replication")
        return [each["sync_state"] for each in states] == ["sync"]


@pytest.fixture(scope="module")
def folder(quick: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(dir=quick))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(folder: Path) -> AsyncIterator[Pair]:
    """A primary that acknowledges nothing before its standby has it."""
    async with postgres(folder / "one") as dsn:
        primary = OwnPostgres(folder / "one", dsn)
        standby = server(folder / "two/postgresql", primary._server._user)
        standby.make_folders()
        (standby.folder / "users.lock").touch()
        (standby.folder / "control.lock").touch()
        await standby._make_usable()
        await standby.programs.run(
            "pg_basebackup", "--username=postgres", f"--host={primary._server.sockets}", "--write-recovery-conf",
            "--wal-method=stream", "--checkpoint=fast", f"--pgdata={standby.cluster}",
        )  # fmt: skip
        await start(standby)
        both = Pair(
            primary, standby, dsn.replace("host=", f"target_session_attrs=read-write&host={standby.sockets},")
        )
        await execute(
            primary.dsn, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )
        await until(both.is_synchronous, within=WITHIN)
        try:
            yield both
        finally:
            await standby.stop()


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[tuple[Database, Store]]:
    async with open_database(dsn) as database:
        store = Store(dsn, database)
        await store.policies.apply(made.POLICY, "test")
        yield database, store


@pytest.mark.usefixtures("bounded")
async def test_invariant_5_a_right_is_confirmed_that_the_standby_has_not_or_is_registered_twice(
    pair: Pair, tmp_path: Path
) -> None:
    async with opened(pair.dsn) as (database, store):
        node = Node(database, tmp_path)
        call = await node.opened()
        await pair.standby.stop()
        # committed here, but acknowledged by nobody: as good as not committed, until the standby is back
        reference = await node.store.register_right(
            call, made.exercise(), made.journal("key_pressed", key="7")
        )
        assert reference is None
        assert len(node.journal.names()) == 1
        with pytest.raises(StoreError):
            await node.database.open(other := made.call(), made.question(other))
        await start(pair.standby)
        await until(pair.is_synchronous, within=WITHIN)
        async with asyncio.timeout(WITHIN):
            (registered,) = await _replayed(node)
        listed = await store.requests.list("acme", 10)
        assert [each["reference"] for each in listed] == [registered]


async def test_a_service_begins_on_a_replica_whose_bars_are_older_than_the_primarys(pair: Pair) -> None:
    with pytest.raises(StoreError, match="lead to the primary, not to a replica"):
        async with open_database(pair.standby.dsn):
            pytest.fail("it begins")


async def test_invariant_1_the_gate_asks_a_standby_that_has_not_taken_over(pair: Pair) -> None:
    """Somebody asks it without a call, as another dialler does: that writes nothing."""
    everywhere = f"{pair.primary.dsn},{pair.standby.sockets}"
    async with opened(everywhere) as (_, store):
        call = made.call()
        await store.calls.facts(made.question(call), Sought(call.digests))
        await pair.primary.kill()
        try:
            for _ in range(3):
                with pytest.raises(StoreError):
                    await store.calls.facts(made.question(call), Sought(call.digests))
        finally:
            await pair.primary.start()
    await until(pair.is_synchronous, within=WITHIN)


async def test_invariant_1_a_bar_goes_with_the_server_or_somebody_is_called_while_another_takes_over(
    pair: Pair,
) -> None:
    """The primary comes back only in the last test of this file."""
    async with opened(pair.dsn) as (_, store):
        *_, one, another = made.numbers(4)
        barred, before = made.call(number=one), made.call(number=another)
        fence = PostgresFence(pair.dsn)
        with capture_logs() as logged:
            async with fence.hold("a run", "an asterisk") as by_another:
                await store.calls.open(before, made.question(before))
                await store.suppressions.add("acme", barred.digests, Reason.ERASURE, "test", "")
                await pair.primary.kill()
                with pytest.raises(StoreError):
                    await store.calls.open(barred, made.question(barred))
                with pytest.raises(StoreError):
                    await store.calls.spend_token(before, made.question(before), made.judge, ())
                await pair.promote()
                facts = await _asked(store, one)
                assert [each.reason for each in facts.suppressions] == [Reason.ERASURE]
                assert await store.calls.spend_token(before, made.question(before), made.judge, ()) is None
                assert (
                    await store.calls.spend_token(before, made.question(before), made.judge, ())
                    is Block.TOKEN_SPENT
                )
                # locks are not replicated: it is taken anew, and nobody else had it
                await until(lambda: any(line["event"] == "lock_regained" for line in logged), within=WITHIN)
                assert not by_another.is_set()


async def test_invariant_1_the_gate_asks_a_primary_that_another_has_replaced(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this file: the old primary comes back with its machine, and can be written to. It lacks the bars
    entered since.
    """
    old, new = str(pair.primary._server.sockets), str(pair.standby.sockets)
    old_first = f"postgresql://postgres@/ccari?host={old},{new}"
    async with opened(old_first) as (database, _), database.connection():
        await pair.primary.start()
        await execute(
            pair.primary.dsn, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"
        )
        async with database.connection() as further:
            assert await further.fetchval(WHICH) == new
    # a service that has not noticed yet that there is another
    monkeypatch.setattr(connecting, "LOOK_AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(timelines, "_newest", {})
    async with as_it_is(old_first, databases.POOL_SIZE, databases.SESSION) as database:
        with capture_logs() as logged:
            async with PostgresFence(old_first).hold("a run", "an asterisk"):
                assert await database.value(WHICH) == old
                refusals: list[str] = []
                has_moved = partial(_is_on, database, new, refusals)

                async def enter_list() -> None:
                    async with database.outside_pool() as connection:
                        assert await connection.fetchval(WHICH) == old
                        async with beside(partial(connecting.keep_looking, old_first)):
                            await until(has_moved, within=WITHIN)

                # nor is a list that was begun there reported as entered
                with pytest.raises(StoreError, match="another has taken its place"):
                    await enter_list()
                assert any("another has taken its place" in each for each in refusals)
                await until(lambda: any(line["event"] == "lock_regained" for line in logged), within=WITHIN)
    # nor does a service stay there that began before it could see that
    monkeypatch.setattr(timelines, "_newest", {})
    with monkeypatch.context() as began:
        began.setattr(migrating, "look_at_each", _see_nothing)
        async with open_database(old_first) as database:
            await until(partial(_is_on, database, new, []), within=WITHIN)
    # nor one that begins now, while both are there
    for opening in (open_database, _looked_at):
        monkeypatch.setattr(timelines, "_newest", {})
        async with opening(old_first) as database:
            assert await database.value(WHICH) == new


@contextlib.asynccontextmanager
async def by_a_name(leads_to: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, Relay]]:
    """A URL with one host, and where that leads. In this process, nobody has seen a server yet."""
    monkeypatch.setattr(timelines, "_newest", {})
    relay = Relay(leads_to)
    listening = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    try:
        yield f"postgresql://postgres@127.0.0.1:{listening.sockets[0].getsockname()[1]}/postgres", relay
    finally:
        listening.close()
        await relay.close()


async def used(database: Database, connections: int) -> None:
    """Leave that many connections idle in the pool."""
    async with contextlib.AsyncExitStack() as lent:
        for _ in range(connections):
            await lent.enter_async_context(database.connection())


@pytest.mark.parametrize("another_taken_from_the_first", [True, False])
async def test_invariant_1_the_gate_asks_on_where_the_name_of_the_database_led_before(
    pair: Pair, dsn: str, monkeypatch: pytest.MonkeyPatch, *, another_taken_from_the_first: bool
) -> None:
    """Both run and can be written to, after the test before: nobody has shut the old primary down."""
    old = socket_of(pair.primary.dsn)
    new, words = (socket_in(pair.standby.sockets), timelines.REPLACED) if another_taken_from_the_first else (
        socket_of(dsn), timelines.MOVED
    )  # fmt: skip
    monkeypatch.setattr(connecting, "LOOK_AGAIN_SECONDS", 0.1)
    refusals: list[str] = []
    with capture_logs() as logged:
        async with (
            by_a_name(old, monkeypatch) as (by_name, relay),
            PostgresFence(by_name).hold("a run", "an asterisk"),
            as_it_is(by_name, databases.POOL_SIZE, databases.SESSION) as database,
        ):
            await used(database, 3)
            assert await database.value(WHICH) == str(old.parent)
            relay.lead_to(new)
            async with beside(partial(connecting.keep_looking, by_name)):
                await until(partial(_is_on, database, str(new.parent), refusals), within=WITHIN)
                await until(lambda: any(line["event"] == "lock_regained" for line in logged), within=WITHIN)
                # nor is one refused for ever that leads there
                assert [await database.value(WHICH) for _ in range(3)] == [str(new.parent)] * 3
    # it costs one call, not one for each connection
    assert refusals.count(words) == 1


async def test_a_call_is_blocked_as_a_connection_that_leads_to_the_new_primary_is_taken_for_an_old_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the old one was cut off, as by whatever moves an address, connections lead to the new one before anybody looks."""
    new = socket_in(pair.standby.sockets)
    async with (
        by_a_name(socket_of(pair.primary.dsn), monkeypatch) as (by_name, relay),
        as_it_is(by_name, databases.POOL_SIZE, databases.SESSION) as database,
    ):
        await connecting._look_at(by_name)
        relay.lead_to(new)
        relay.cut()
        await until(partial(_is_on, database, str(new.parent), []), within=WITHIN)
        await connecting._look_at(by_name)
        assert await database.value(WHICH) == str(new.parent)


async def test_invariant_1_a_connection_that_a_stale_name_leads_to_the_old_primary_is_asked(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where each of several resolvers keeps what it was told for a while."""
    async with (
        by_a_name(socket_in(pair.standby.sockets), monkeypatch) as (by_name, relay),
        as_it_is(by_name, databases.POOL_SIZE, databases.SESSION),
    ):
        relay.lead_to(socket_of(pair.primary.dsn))
        with pytest.raises(StoreError, match="another has taken its place"):
            await connecting.connect(by_name)


async def _see_nothing(_: str) -> None:
    pass


async def _is_on(database: Database, which: str, refusals: list[str]) -> bool:
    """``refusals`` collects why it cannot be asked."""
    try:
        return bool(await database.value(WHICH) == which)
    except StoreError as refusal:
        refusals.append(str(refusal))
        return False


@contextlib.asynccontextmanager
async def _looked_at(dsn: str) -> AsyncIterator[Database]:
    async with open_untouched(dsn) as store:
        yield store.database


async def _replayed(node: Node) -> list[str | None]:
    """What is registered in the first round that the standby, just back, acknowledges in time."""
    while True:
        with contextlib.suppress(StoreError):
            return await node.references()


async def _asked(store: Store, number: Number) -> Facts:
    """The facts of the number, once the server that took over is found."""
    async with asyncio.timeout(WITHIN):
        while True:
            call = made.call(number=number)
            with contextlib.suppress(StoreError):
                return (await store.calls.open(call, made.question(call)))[0]
            await asyncio.sleep(0.1)
