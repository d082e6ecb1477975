"""A right that is pressed while the database is away: kept, heeded, and registered once, as it was pressed."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ccari.errors import BarsLostError, RefusedError, StoreError
from ccari.keyring.journal_key import JournalKey
from ccari.policy.chain import Entry
from ccari.policy.gate import Block, Facts
from ccari.policy.rights import Right
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Sought
from ccari.ports.pressed import Pressed, Standing
from ccari.ports.requests import Exercise
from ccari.store import local_journal, replaying
from ccari.store.calls import PostgresCallStore
from ccari.store.database import Database
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.queries import SQL
from ccari.store.replaying import Replayed, Replayer, SpoolingCallStore
from tests.lab.waiting import until
from tests.unit.store import made

SECONDS = 30.0


class Flaky(PostgresCallStore):
    """``away``: it accepts nothing. ``forgets``: it accepts, but nobody is told. ``stuck``: it does not answer."""

    away = forgets = stuck = False

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Sequence[Entry], *, opens: bool = False
    ) -> str:
        return await self._answer(super().register_right(call, exercise, journal, opens=opens))

    async def replay(self, pressed: Pressed) -> str:
        return await self._answer(super().replay(pressed))

    async def _answer(self, work: Any) -> str:
        if self.away or self.stuck:
            work.close()
            if self.stuck:
                await asyncio.Event().wait()
            raise StoreError("the database cannot be reached: Connection refused")
        reference: str = await work
        if self.forgets:
            raise StoreError("the database did not answer in time")
        return reference


class Node:
    """A service's part in it, on a data_dir."""

    def __init__(self, database: Database, data_dir: Path) -> None:
        keys = JournalKey(data_dir / "keys")
        keys.create()
        self.kept = asyncio.Event()
        self._pressed = made.NOW - timedelta(seconds=1)
        self.journal = LocalJournalFiles(data_dir, keys.read)
        self.store = SpoolingCallStore(database, self.journal, self.kept)
        self.database = self.store._calls = Flaky(database)
        self.replayer = Replayer(self.journal, self.database, self.kept)

    async def opened(self) -> OpenedCall:
        call = made.call()
        await self.store.open(call, made.question(call))
        return call

    async def under_way(self) -> OpenedCall:
        """A call that was let through before anything had to wait."""
        call = made.call()
        await self.database.open(call, made.question(call))
        return call

    async def press(self, call: OpenedCall, right: Right = Right.ERASURE, **how: Any) -> Exercise:
        """Press while the database is away; it is back afterwards."""
        self._pressed += timedelta(seconds=1)
        exercise = replace(made.exercise(right), received_at=self._pressed)
        self.database.away = not (self.database.forgets or self.database.stuck)
        try:
            reference = await self.store.register_right(
                call, exercise, made.journal("key_pressed", key="7"), **how
            )
            assert reference is None
        finally:
            self.database.away = self.database.forgets = self.database.stuck = False
        return exercise

    async def references(self) -> list[str | None]:
        return [each.reference for each in await self.replayer.round()]


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Node:
    return Node(database, tmp_path)


async def events(store: Store, call: OpenedCall) -> list[str]:
    record = await store.records.show_call(call.id)
    assert record.fault is None
    return [each["event"] for each in record.events]


async def test_invariant_5_a_right_pressed_while_the_database_is_away_is_registered_as_of_later_or_twice(
    node: Node, store: Store
) -> None:
    call = await node.opened()
    pressed = await node.press(call)
    assert await store.requests.list(None, 10) == []
    assert await node.references() == ["ACME-2026-000001"]
    shown = (await store.requests.show("ACME-2026-000001")).request
    for name in ("received_at", "due", "key", "notice_version", "language"):
        assert shown[name] == getattr(pressed, name), name
    assert (shown["call_id"], shown["right"], shown["number"]) == (call.id, "erasure", made.NUMBER.e164)
    assert await events(store, call) == ["key_pressed", "right_registered"]
    assert (node.journal.standing().waiting, await node.references()) == (False, [])
    assert len(await store.requests.list(None, 10)) == 1


async def test_invariant_5_a_right_that_was_taken_though_nobody_was_told_is_two_requests(
    node: Node, store: Store
) -> None:
    """The reply was lost, not the commit: once at the press, and again when it is registered later."""
    call = await node.opened()
    node.database.forgets = True
    await node.press(call)
    assert len(await store.requests.list(None, 10)) == 1
    node.database.forgets = True
    for _ in range(2):
        with pytest.raises(StoreError):
            await node.replayer.round()
    node.database.forgets = False
    assert await node.references() == ["ACME-2026-000001"]
    assert len(await store.requests.list(None, 10)) == 1
    assert len(await store.suppressions.of("acme", call.digests)) == 1
    assert await events(store, call) == ["key_pressed", "right_registered"]


async def test_invariant_5_the_same_exercise_is_two_requests_where_its_call_is_another(
    node: Node, store: Store
) -> None:
    """What makes it one exercise is its own id, not just the call in which it was made."""
    exercise = made.exercise()
    first, other = await node.opened(), await node.opened()
    reference = await node.store.register_right(first, exercise, ())
    assert await node.store.register_right(other, exercise, ()) == reference
    assert len(await store.requests.list(None, 10)) == 1


async def test_invariant_1_somebody_is_called_who_may_have_barred_themselves_while_it_waits(
    node: Node, store: Store
) -> None:
    asked = await node.opened()
    await node.press(await node.opened())
    for refused in (
        node.store.open(another := made.call(), made.question(another)),
        node.store.spend_token(asked, made.question(asked), made.judge, ()),
        node.store.facts(made.QUESTION, Sought(made.digests())),
    ):
        with pytest.raises(StoreError, match="rights that were pressed wait"):
            await refused
    # nobody who calls in is turned away for what bars calls to them
    await node.store.open(inbound := replace(made.call(), direction="inbound"), made.question(inbound))
    await node.replayer.round()
    judged = await node.store.spend_token(asked, made.question(asked), made.judge, ())
    assert judged is Block.SUPPRESSED_ERASURE


async def test_invariant_1_somebody_is_called_who_bars_themselves_while_the_token_is_being_spent(
    node: Node, store: Store
) -> None:
    """The database is so slow that the right goes to the disk, and then spends the token after all."""
    asked, talking, begun = await node.opened(), await node.opened(), asyncio.Event()

    def judge(facts: Facts) -> Block | None:
        begun.set()
        return made.judge(facts)

    async with store.database.transaction() as other:
        await other.execute(SQL["number_lock"], asked.controller, asked.digests.newest)
        spending = asyncio.create_task(node.store.spend_token(asked, made.question(asked), judge, ()))
        await begun.wait()
        await node.press(talking)
    assert await spending is Block.STORE_UNAVAILABLE


async def test_invariant_6_a_talk_is_taken_up_with_a_recording_that_a_waiting_refusal_ends(
    node: Node,
) -> None:
    await node.press(await node.opened(), Right.REFUSE_RECORDING)
    with pytest.raises(StoreError, match="rights that were pressed wait"):
        await node.store.left_talks(made.ASTERISK)
    await node.replayer.round()
    assert await node.store.left_talks(made.ASTERISK) == []


async def test_invariant_6_what_a_right_does_at_once_is_left_out_when_it_is_registered_later(
    node: Node, store: Store
) -> None:
    call = await node.opened()
    await node.press(call, Right.OBJECTION_MARKETING)
    await node.replayer.round()
    (bar,) = await store.suppressions.of("acme", call.digests)
    assert (bar["reason"], bar["origin"], bar["proof"]) == ("objection_marketing", "call", "ACME-2026-000001")


async def test_a_database_that_does_not_answer_holds_up_whoever_pressed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "PRESS_SECONDS", 0.05)
    node.database.stuck = True
    async with asyncio.timeout(SECONDS):
        await node.press(await_ := await node.opened())
    assert [node.journal.read(each).call.id for each in node.journal.names()] == [await_.id]


async def test_the_log_hides_that_the_database_is_there_but_too_slow_for_a_right(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database in another country answers each question in time."""
    monkeypatch.setattr(replaying, "PRESS_SECONDS", 0.05)
    node.database.stuck = True
    with capture_logs() as logged:
        await node.press(await node.opened())
    (line,) = [each for each in logged if each["event"] == "database_away"]
    assert "registering a right took longer than" in line["reason"]


async def test_a_right_that_the_database_refuses_for_good_is_confirmed(node: Node) -> None:
    with pytest.raises(RefusedError):
        await node.store.register_right(replace(made.call(), revision=99), made.exercise(), ())
    assert not node.journal.standing().waiting


async def test_invariant_5_a_right_is_confirmed_that_neither_the_database_nor_the_disk_has(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await node.opened()
    monkeypatch.setattr("ccari.store.local_journal.MOST_RIGHTS", 0)
    with capture_logs() as logged, pytest.raises(StoreError, match="the local journal is full"):
        await node.press(call)
    assert "right_not_kept" in [line["event"] for line in logged]


async def test_what_can_never_be_registered_is_dropped_or_holds_up_the_others(
    node: Node, store: Store
) -> None:
    """One is of a policy that this database never had, and one was damaged by the disk."""
    hopeless, good = replace(made.call(), revision=99), await node.opened()
    await node.press(hopeless)
    await node.press(good)
    unreadable = f"19700101T000000.000000Z-{uuid4()}.right"
    (node.journal.waiting / unreadable).write_bytes(b"ccari right 1 0000")
    with capture_logs() as logged:
        found = await node.replayer.round()
    assert sorted(str(each.reference) for each in found) == ["ACME-2026-000001", "None", "None"]
    told = {line["record"]: line["reason"] for line in logged if line["event"] == "right_put_aside"}
    assert "cut off" in told.pop(unreadable)
    ((name, reason),) = told.items()
    assert "calls_revision_fkey" in reason
    assert node.journal.standing() == Standing(aside=2)
    assert node.journal.put_by() == sorted([unreadable, name])
    assert node.journal.read(name, node.journal.aside).call == replace(hopeless, listed_as=())
    assert [each["call_id"] for each in await store.requests.list(None, 10)] == [good.id]


async def test_invariant_1_somebody_is_called_whose_right_lies_aside_where_only_a_person_can_read_it(
    node: Node,
) -> None:
    """They heard that it is registered. The gate opens when the last has been dealt with."""
    await node.press(replace(made.call(), revision=99))
    with capture_logs() as logged:
        await node.replayer.begin()
    (line,) = [line for line in logged if line["event"] == "rights_wait"]
    assert (line["waiting"], line["aside"]) == (0, 1)
    for refused in (
        node.store.open(another := made.call(), made.question(another)),
        node.store.spend_token(another, made.question(another), made.judge, ()),
        node.store.facts(made.QUESTION, Sought(made.digests())),
    ):
        with pytest.raises(StoreError, match="rights that were pressed were put aside"):
            await refused
    (name,) = node.journal.put_by()
    (node.journal.aside / name).rename(node.journal.aside / f"{name}.torn")
    # nobody was told that it was registered
    await node.opened()


async def test_invariant_6_a_talk_is_recorded_on_whose_refusal_may_lie_aside(node: Node) -> None:
    """But it goes on, and so does the service: what lies aside may do so for days."""
    call = await node.opened()
    await node.store.commit_heard(call.id, "v1", None, ())
    await node.store.keep_talk(call.id, {"refused": False, "version": 1}, ())
    (left,) = await node.store.left_talks(made.ASTERISK)
    assert left.kept["refused"] is False
    await node.press(replace(made.call(), revision=99))
    await node.replayer.round()
    (left,) = await node.store.left_talks(made.ASTERISK)
    assert left.kept == {"refused": True, "version": 1}


async def test_invariant_6_a_talk_is_recorded_on_whose_refusal_may_be_gone_with_what_an_older_database_lacks(
    node: Node, database: Database
) -> None:
    call = await node.opened()
    await node.store.commit_heard(call.id, "v1", None, ())
    await node.store.keep_talk(call.id, {"refused": False, "version": 1}, ())

    known: StoreError = StoreError("it is not known yet whether the database is an older one")

    def refuse() -> None:
        raise known

    on_older = SpoolingCallStore(database, node.journal, asyncio.Event(), refuse_older=refuse)
    with pytest.raises(StoreError, match="it is not known yet"):
        await on_older.left_talks(made.ASTERISK)
    known = BarsLostError("the database is an older one")
    (left,) = await on_older.left_talks(made.ASTERISK)
    assert left.kept == {"refused": True, "version": 1}
    # nor do talks, and callers, wait for rights that are not registered there
    await node.press(call)
    assert await on_older.left_talks(made.ASTERISK) == [left]


async def test_invariant_1_a_right_that_another_key_has_encrypted_is_put_aside_or_opens_the_gate(
    node: Node, store: Store, tmp_path: Path
) -> None:
    """An older backup of the keys was restored. What is pressed since then is registered, and so is the earlier one
    once its key is back.
    """
    first = await node.opened()
    await node.press(first)
    key = tmp_path / "keys" / "journal.key"
    right_one = key.read_bytes()
    key.unlink()
    second = await node.under_way()
    JournalKey(tmp_path / "keys").create()
    await node.press(second)
    with capture_logs() as logged:
        await node.replayer.begin()
    (line,) = [line for line in logged if line["event"] == "rights_wait"]
    assert (line["waiting"], line["aside"]) == (1, 0)
    assert "it was encrypted with the journal.key" in line["reason"]
    assert [each["call_id"] for each in await store.requests.list(None, 10)] == [second.id]
    assert node.journal.of_another_key() == 1
    with pytest.raises(StoreError, match="rights that were pressed wait"):
        await node.opened()
    key.write_bytes(right_one)
    assert await node.references() == ["ACME-2026-000002"]
    await node.opened()


async def test_a_service_takes_no_call_while_a_right_waits_for_a_key_that_is_not_there(
    node: Node, tmp_path: Path
) -> None:
    """That may take days: callers are answered, and talks go on, but no call is recorded that the right may concern."""
    talk = await node.opened()
    await node.store.commit_heard(talk.id, "v1", None, ())
    await node.store.keep_talk(talk.id, {"refused": False, "version": 1}, ())
    await node.press(await node.opened())
    (tmp_path / "keys" / "journal.key").unlink()
    with pytest.raises(StoreError):
        await node.store.left_talks(made.ASTERISK)
    JournalKey(tmp_path / "keys").create()
    (left,) = await node.store.left_talks(made.ASTERISK)
    assert left.kept == {"refused": True, "version": 1}
    await node.press(await node.under_way())
    with pytest.raises(StoreError, match="rights that were pressed wait"):
        await node.store.left_talks(made.ASTERISK)
    assert await node.references() == ["ACME-2026-000001"]
    assert await node.store.left_talks(made.ASTERISK) == [left]


async def test_a_disk_that_refuses_a_lock_ends_the_registering_of_rights(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that was mounted read-only for a while: nobody would be called until the service was restarted."""
    monkeypatch.setattr(replaying, "AGAIN_SECONDS", 0.01)
    await node.press(await node.opened())
    (lock := node.journal.folder / "registering.lock").mkdir()
    running = asyncio.create_task(node.replayer.run())
    try:
        with capture_logs() as logged:
            await until(lambda: any(line["event"] == "rights_wait" for line in logged), within=SECONDS)
        lock.rmdir()
        await until(lambda: not node.journal.standing().waiting, within=SECONDS)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_disk_that_hangs_holds_up_the_start_of_a_service_for_ever(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers can be answered without it. What waits there is registered when it answers again."""
    await node.press(await node.opened())
    answers = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(replaying, "REGISTER_SECONDS", 0.05)
        patch.setattr(local_journal, "ANSWER_SECONDS", 0.05)
        for name in ("tidy", "names"):
            patch.setattr(node.journal, name, lambda: answers.wait(SECONDS))
        with capture_logs() as logged:
            async with asyncio.timeout(SECONDS / 2):
                await node.replayer.begin()
    answers.set()
    assert [line["event"] for line in logged] == ["local_journal_untidy", "local_journal_unreadable"]
    assert await node.references() == ["ACME-2026-000001"]


async def test_a_right_that_is_kept_as_a_round_ends_is_told_of_as_one_that_cannot_be_registered(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a right that really waits later would go unreported for a minute."""
    call = await node.opened()

    async def nothing() -> list[Replayed]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(node.replayer, "round", nothing)
        await node.press(call)
        with capture_logs() as logged:
            assert await node.replayer._round_leaves_some()
            async with node.journal.registering():
                patch.undo()
                await node.replayer._round_leaves_some()
    assert [(line["event"], line["reason"]) for line in logged] == [
        ("rights_wait", "another process is registering them")
    ]


async def test_something_unforeseen_ends_the_registering_of_rights(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AGAIN_SECONDS", 0.01)
    await node.press(await node.opened())
    replay, faults = node.database.replay, [RuntimeError("unforeseen")]

    async def stumble(pressed: Pressed) -> str:
        if faults:
            raise faults.pop()
        return await replay(pressed)

    monkeypatch.setattr(node.database, "replay", stumble)
    running = asyncio.create_task(node.replayer.run())
    try:
        with capture_logs() as logged:
            await until(lambda: not node.journal.standing().waiting, within=SECONDS)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert "rights_not_registered" in [line["event"] for line in logged]


async def test_a_folder_that_cannot_be_read_goes_unnoticed(node: Node) -> None:
    await node.press(await node.opened())
    node.journal.waiting.rename(node.journal.folder / "moved")
    node.journal.waiting.write_text("")
    with capture_logs() as logged:
        await node.replayer._round_leaves_some()
    assert [line["event"] for line in logged] == ["local_journal_unreadable"]


async def test_a_call_that_never_got_its_row_loses_its_right_or_stays_open(node: Node, store: Store) -> None:
    call = made.call()
    await node.press(call, opens=True)
    await node.press(call, Right.ACCESS, opens=True)
    assert await node.references() == ["ACME-2026-000001", "ACME-2026-000002"]
    record = await store.records.show_call(call.id)
    assert record.fault is None
    assert (record.call["outcome"], record.call["reason"]) == ("right_exercised", "erasure")
    assert record.call["opened_at"] == made.NOW
    assert [each["event"] for each in record.events].count("call_ended") == 1


async def test_a_journal_that_is_over_is_broken_or_doubled_by_a_right_that_comes_later(
    node: Node, store: Store
) -> None:
    call, entries = await node.opened(), made.journal("key_pressed", key="7")
    node.database.away = True
    assert await node.store.register_right(call, made.exercise(), entries) is None
    node.database.away = False
    await node.store.close(
        call.id, "right_exercised", "erasure", [*entries, *made.journal("right_spooled", "call_ended")]
    )
    await node.replayer.round()
    assert await events(store, call) == ["key_pressed", "right_spooled", "call_ended", "right_registered"]


async def test_one_that_fails_takes_those_before_it_along(
    node: Node, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await node.opened() for _ in range(3)]
    for each in calls:
        await node.press(each)
    first, second, third = (node.journal.read(each).call.id for each in node.journal.names())
    replay = node.database.replay

    async def replay_all_but_one(pressed: Pressed) -> str:
        if pressed.call.id == second:
            raise StoreError("the database did not answer in time")
        return await replay(pressed)

    with monkeypatch.context() as patch:
        patch.setattr(node.database, "replay", replay_all_but_one)
        with pytest.raises(StoreError):
            await node.replayer.round()
    assert [node.journal.read(each).call.id for each in node.journal.names()] == [second, third]
    await node.replayer.round()
    assert {each["call_id"] for each in await store.requests.list(None, 10)} == {first, second, third}


async def test_two_services_on_one_disk_register_a_right_twice(
    node: Node, database: Database, tmp_path: Path, store: Store
) -> None:
    other = Node(database, tmp_path)
    for _ in range(5):
        await node.press(await node.under_way())
    with pytest.raises(StoreError):
        # each heeds what the other has kept
        await other.opened()
    while node.journal.standing().waiting:
        await asyncio.gather(node.replayer.round(), other.replayer.round())
    assert len(await store.requests.list(None, 10)) == 5


async def test_a_right_waits_on_though_the_database_is_back(
    node: Node, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AGAIN_SECONDS", 0.01)
    call = await node.opened()
    running = asyncio.create_task(node.replayer.run())
    try:
        node.database.away = True
        with capture_logs() as logged:
            assert await node.store.register_right(call, made.exercise(), ()) is None
            await until(lambda: any(line["event"] == "rights_wait" for line in logged), within=SECONDS)
            assert node.journal.standing().waiting
            node.database.away = False
            # the last step: its file is gone by then
            await until(lambda: any(line["event"] == "right_registered" for line in logged), within=SECONDS)
            assert not node.journal.standing().waiting
        (line,) = [line for line in logged if line["event"] == "right_registered"]
        assert (line["call_id"], line["number"], line["reference"]) == (
            str(call.id), made.NUMBER.masked, "ACME-2026-000001"
        )  # fmt: skip
        assert [line["event"] for line in logged].count("rights_wait") == 1
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert len(await store.requests.list(None, 10)) == 1


async def test_a_service_takes_calls_before_it_has_registered_what_an_earlier_one_left(
    node: Node, database: Database, tmp_path: Path, store: Store
) -> None:
    call = await node.opened()
    await node.press(call)
    await (successor := Node(database, tmp_path)).replayer.begin()
    assert not successor.journal.standing().waiting
    assert len(await store.suppressions.of("acme", call.digests)) == 1


async def test_a_journal_that_cannot_be_tidied_keeps_the_service_from_beginning(
    node: Node, tmp_path: Path
) -> None:
    await node.press(await node.opened())
    (tmp_path / "keys" / "journal.key").unlink()
    with capture_logs() as logged:
        await node.replayer.begin()
    assert [line["event"] for line in logged] == ["rights_wait"]
    # nobody is called: what waits cannot be read
    with pytest.raises(StoreError):
        await node.opened()
    assert node.journal.put_by() == []


async def test_a_right_is_due_later_because_it_waited(node: Node, store: Store) -> None:
    call = await node.opened()
    exercise = replace(
        made.exercise(year=2027), received_at=made.NOW + timedelta(days=365), due=date(2027, 12, 27)
    )
    node.database.away = True
    await node.store.register_right(call, exercise, ())
    node.database.away = False
    assert await node.references() == ["ACME-2027-000001"]
    (row,) = await store.requests.list(None, 10)
    assert row["due"] == date(2027, 12, 27)
