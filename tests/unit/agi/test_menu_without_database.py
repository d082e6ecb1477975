"""The keys menu while the database is away: pressed rights wait on this node, and the gate beside it is closed."""

import re
from pathlib import Path

import pytest

from ccari.agi.desk import Desk
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.agi.served import ask, closed, menu, serving, with_store
from tests.unit.store.made import NUMBER
from tests.unit.store.test_replaying import Node


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Node:
    return Node(database, tmp_path)


async def test_invariant_5_a_right_pressed_at_the_menu_while_the_database_is_away_is_lost_or_has_a_reference(
    desk: Desk, store: Store, node: Node
) -> None:
    node.database.away = True
    async with serving(with_store(desk, node.store)) as port:
        asterisk = await menu(port, {"rights": ["7"], "wait": ["8"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
    assert asterisk.variables["CCARI_REFERENCE"] == "none,none"
    said = [each for each in asterisk.played if not each.startswith(("day_", "month_", "year_"))]
    assert said == ["rights", "right_registered_erasure", "right_registered_access", "answer_by"]
    assert await store.requests.list(None, 10) == []
    node.database.away = False
    first, second = await node.references()
    # the year is the current one
    assert re.fullmatch(r"ACME-2\d\d\d-000001", str(first))
    assert second == str(first).replace("-000001", "-000002")
    (call,) = await store.records.list_calls(10)
    row = await closed(store, str(call["id"]))
    assert (row["outcome"], row["reason"]) == ("right_exercised", "erasure")
    requests = await store.requests.list(None, 10)
    assert {(each["right"], each["call_id"]) for each in requests} == {
        ("erasure", call["id"]),
        ("access", call["id"]),
    }


async def test_invariant_1_the_gate_lets_a_call_through_to_whoever_has_barred_themselves_meanwhile(
    desk: Desk, node: Node
) -> None:
    async with serving(with_store(desk, node.store)) as port:
        node.database.away = True
        await menu(port, {"wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        node.database.away = False
        told = await ask(port, NUMBER.e164, "renewals")
        assert (told.verdict, told.variables["CCARI_REASON"]) == ("DENY", "store_unavailable")
        await node.replayer.round()
        told = await ask(port, NUMBER.e164, "renewals")
        assert (told.verdict, told.variables["CCARI_REASON"]) == ("DENY", "suppressed_erasure")


async def test_a_visit_whose_second_right_is_taken_loses_the_first_or_its_journal(
    desk: Desk, store: Store, node: Node
) -> None:
    """The database comes back between the two keys."""
    real = node.database.register_right
    answers = iter((True, False))

    async def comes_back(*arguments: object, **options: object) -> str:
        node.database.away = next(answers)
        return await real(*arguments, **options)  # type: ignore[arg-type]

    node.database.register_right = comes_back  # type: ignore[method-assign]
    async with serving(with_store(desk, node.store)) as port:
        asterisk = await menu(
            port, {"rights": ["7"], "right_registered_erasure": ["8"]}, CCARI_NUMBER=NUMBER.e164
        )
        assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
        (call,) = await store.records.list_calls(10)
        row = await closed(store, str(call["id"]))
    assert row["reason"] == "erasure,access"
    await node.replayer.round()
    record = await store.records.show_call(call["id"])
    events = [each["event"] for each in record.events]
    assert record.fault is None
    assert sorted(set(events)) == sorted(["key_pressed", "right_spooled", "right_registered", "call_ended"])
    assert (events.count("right_registered"), events.count("key_pressed"), events.count("call_ended")) == (
        2,
        2,
        1,
    )


async def test_a_caller_without_a_number_leaves_no_row_while_rights_of_others_wait(
    desk: Desk, store: Store, node: Node
) -> None:
    async with serving(with_store(desk, node.store)) as port:
        node.database.away = True
        await menu(port, {"wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        node.database.away = False
        asterisk = await menu(port, {"rights": ["2"]}, agi_callerid="unknown")
        (call,) = await store.records.list_calls(10)
    assert asterisk.variables["CCARI_RIGHT"] == "refuse_recording"
    assert (call["direction"], call["reason"]) == ("inbound", "refuse_recording")
