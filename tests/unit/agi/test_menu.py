"""The keys menu over FastAGI: whose right it is, what becomes of it, and when the menu ends."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from ccari.agi import exercising, server
from ccari.agi import menu as keys_menu
from ccari.agi.desk import Desk
from ccari.agi.exercising import Answer, Exercising
from ccari.agi.menu import Menu
from ccari.agi.session import Reply, Session
from ccari.errors import SoundError
from ccari.gating.journal import Journal
from ccari.keyring.secrets import SecretStore
from ccari.metrics.meter import Metrics
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import read
from ccari.policy.parties import Controller
from ccari.policy.rights import Right
from ccari.ports.calls import OpenedCall
from ccari.ports.cards import Past
from ccari.ports.keying import Sought
from ccari.ports.sounds import Script
from ccari.store.calls import PostgresCallStore
from ccari.store.opened import Store
from tests.lab.waiting import until
from tests.unit.agi.asterisk import Caller, caller
from tests.unit.agi.served import (
    DATED,
    SECONDS,
    WITH_KEYS,
    Broken,
    Sounds,
    ask,
    closed,
    menu,
    serving,
    with_store,
)
from tests.unit.metrics.scraped import scraped
from tests.unit.store import listed, made
from tests.unit.store.made import NUMBER


def read_out(reference: str) -> list[str]:
    """How ``ACME-2026-000123`` is spoken."""
    _, year, serial = reference.split("-")
    return ["reference_is", *(f"digit_{digit}" for digit in f"{year}{int(serial)}")]


async def until_when(store: Store, reference: str) -> list[str]:
    due = (await store.requests.show(reference)).request["due"]
    return ["answer_by", f"day_{due.day}", f"month_{due.month}", f"year_{due.year}"]


async def test_a_right_is_confirmed_before_it_is_registered_or_without_its_reference_and_date(
    desk: Desk, store: Store
) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        (request,) = await store.requests.list(None, 10)
    reference = asterisk.variables["CCARI_REFERENCE"]
    assert (asterisk.variables["CCARI_RIGHT"], request["reference"]) == ("erasure", reference)
    assert asterisk.played == [
        "rights", "right_registered_erasure", *read_out(reference), *await until_when(store, reference)
    ]  # fmt: skip
    shown = (await store.requests.show(reference)).request
    assert (shown["number"], shown["number_from"], shown["level"]) == (NUMBER.e164, "dialled", 1)


async def test_a_right_is_lost_in_a_campaign_that_is_named_by_a_date(desk: Desk, store: Store) -> None:
    await store.policies.apply(DATED, "test")
    with capture_logs() as logged:
        async with serving(desk) as port:
            told = await menu(
                port, {"rights": ["7"]}, campaign="offers-20261001", agi_callerid=NUMBER.digits[2:]
            )
    assert told.variables["CCARI_RIGHT"] == "erasure"
    assert {line["campaign"] for line in logged if line["event"] == "key_pressed"} == {"offers-20261001"}


async def test_the_next_call_to_whoever_pressed_a_key_is_allowed(desk: Desk) -> None:
    async with serving(desk) as port:
        await menu(port, {"wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "suppressed_erasure")


async def test_a_caller_is_taken_for_surer_than_a_caller_id_is(desk: Desk, store: Store) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {"wait": ["8"]}, agi_callerid="600100001")
        shown = (await store.requests.show(asterisk.variables["CCARI_REFERENCE"])).request
    assert (shown["number"], shown["number_from"], shown["level"]) == (NUMBER.e164, "caller_id", 0)


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        ({"CCARI_NUMBER": NUMBER.e164}, "outbound"),
        ({"agi_callerid": "600100001"}, "inbound"),
        ({"agi_callerid": "unknown"}, "inbound"),
    ],
    ids=["called", "calls", "calls and shows no number"],
)
async def test_who_calls_in_and_presses_a_key_is_on_record_as_somebody_who_was_called(
    desk: Desk, store: Store, values: dict[str, str], direction: str
) -> None:
    metrics = Metrics()
    async with serving(replace(desk, meter=metrics)) as port:
        await menu(port, {"rights": ["7"]}, **values)
        row = await only_row(store)
    assert (row["direction"], row["agent"]) == (direction, "anna")
    counted = [each for each in scraped(metrics) if each.startswith("ccari_calls_total")]
    assert [f'direction="{direction}"' in each for each in counted] == [True]


async def test_who_calls_in_to_a_campaign_whose_agent_each_call_names_gets_no_menu(
    desk: Desk, store: Store
) -> None:
    for agent in ("PJSIP/{agent}", "PJSIP/queue@agents"):
        await store.policies.apply(WITH_KEYS.replace("dial =", f'agent = "{agent}"\ndial ='), "test")
        async with serving(desk) as port:
            told = await menu(port, {"rights": ["8"]}, agi_callerid="600100001")
        assert told.variables["CCARI_RIGHT"] == "access"
    assert {row["agent"] for row in await store.records.list_calls(10)} == {"anna"}


async def test_a_menu_that_was_asked_for_wrongly_belongs_to_a_campaign_that_does_not_exist(
    desk: Desk,
) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port, caller(port) as asterisk:
            asterisk.enter("rights", agi_callerid="600100001")
            await asterisk.obey({})
    (line,) = [line for line in logged if line["event"] == "rights_menu_failed"]
    assert line["reason"] == "bad_arguments"


without_number = pytest.mark.parametrize(
    "values",
    [
        {"agi_callerid": "600100001", "agi_callingpres": "32"},
        {"agi_callerid": "600100001", "agi_callingpres": "²"},
        {"agi_callerid": "unknown"},
        {"agi_callerid": "101"},
    ],
    ids=["withheld", "nobody knows", "unknown", "an extension"],
)


async def only_row(store: Store) -> dict[str, Any]:
    """The row of the only call."""
    (call,) = await store.records.list_calls(10)
    return await closed(store, str(call["id"]))


@without_number
async def test_a_right_is_registered_for_nobody_or_refused_in_silence(
    desk: Desk, store: Store, values: dict[str, str]
) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["7"]}, **values)
        row = await only_row(store)
    assert asterisk.played == ["rights", "number_withheld", "rights"]
    assert (asterisk.variables["CCARI_RIGHT"], asterisk.variables["CCARI_REFERENCE"]) == ("none", "none")
    assert await store.requests.list(None, 10) == []
    assert (row["outcome"], row["reason"], row["dialled_at"]) == ("failed", "number_withheld", None)


@without_number
async def test_who_shows_no_number_cannot_refuse_to_be_recorded(
    desk: Desk, store: Store, values: dict[str, str]
) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["9"], "source": ["2"]}, **values)
        row = await only_row(store)
    assert asterisk.played == ["rights", "source"]
    told = asterisk.variables["CCARI_RIGHT"], asterisk.variables["CCARI_REFERENCE"]
    assert told == ("refuse_recording", "none")
    assert await store.requests.list(None, 10) == []
    assert (row["outcome"], row["reason"], row["dialled_at"]) == ("right_exercised", "refuse_recording", None)


async def test_a_visit_without_a_number_in_which_nothing_is_pressed_leaves_a_row_open(
    desk: Desk, store: Store
) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {}, agi_callerid="unknown")
    assert asterisk.played == ["rights"]
    assert await store.records.list_calls(10) == []


@pytest.mark.parametrize(
    ("step", "values", "said"),
    [
        ("open", {"agi_callerid": "unknown"}, []),
        ("register_right", {"CCARI_NUMBER": NUMBER.e164}, ["right_failed"]),
    ],
    ids=["no number", "a number"],
)
async def test_who_refuses_to_be_recorded_while_the_database_is_away_is_recorded(
    desk: Desk, database: Any, step: str, values: dict[str, str], said: list[str]
) -> None:
    async with serving(with_store(desk, Broken(database, step))) as port:
        asterisk = await menu(port, {"rights": ["2"]}, **values)
    assert asterisk.played == ["rights", *said]
    told = asterisk.variables["CCARI_RIGHT"], asterisk.variables["CCARI_REFERENCE"]
    assert told == ("refuse_recording", "none")


async def test_a_refusal_at_the_menu_is_done_with_though_the_dialplan_may_have_recorded(
    desk: Desk, store: Store
) -> None:
    """What the dialplan has recorded is not known to ccari: a person must see to that."""
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["2"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights"]
    found = (await store.requests.show(asterisk.variables["CCARI_REFERENCE"])).request
    assert (found["right"], found["state"]) == ("refuse_recording", "received")


async def test_who_refuses_to_be_recorded_without_a_number_waits_for_a_database_that_hangs(
    desk: Desk, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exercising, "ROW_SECONDS", 0.05)
    async with serving(with_store(desk, Broken(database, "open", holds=True))) as port:
        asterisk = await menu(port, {"rights": ["2"]}, agi_callerid="unknown")
    told = asterisk.variables["CCARI_RIGHT"], asterisk.variables["CCARI_REFERENCE"]
    assert told == ("refuse_recording", "none")


class Unbuilt(Sounds):
    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> dict[str, Script]:
        raise SoundError("not built")


@pytest.mark.parametrize("lacks", ["secrets", "sounds"])
async def test_whoever_asks_for_a_menu_that_cannot_be_offered_hears_nothing(
    desk: Desk, tmp_path: Path, lacks: str
) -> None:
    if lacks == "secrets":
        unfit = replace(desk, secrets=SecretStore(tmp_path / "none"))
    else:
        unfit = replace(desk, prompts=Unbuilt())
    with capture_logs() as logged:
        async with serving(unfit) as port:
            asterisk = await menu(port, {}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["right_failed"]
    (line,) = [line for line in logged if line["event"] == "rights_menu_failed"]
    assert line["reason"] == ("store_unavailable" if lacks == "secrets" else "prompts_missing")


async def test_a_campaign_that_does_not_exist_offers_keys_to_a_caller_without_a_number(desk: Desk) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            asterisk = await menu(port, {}, campaign="nonsense", agi_callerid="unknown")
    assert asterisk.played == ["right_failed"]
    (line,) = [line for line in logged if line["event"] == "rights_menu_failed"]
    assert line["reason"] == "unknown_campaign"


@pytest.mark.parametrize(("source", "said"), [("fair", "source_fair"), ("web", "source")])
async def test_who_asks_is_told_another_source_than_their_own_number_has_or_none_where_that_was_not_built(
    desk: Desk, store: Store, source: str, said: str
) -> None:
    sourced, _ = listed.contact(source=source)
    contacts = listed.batches((sourced, Sought(desk.secrets.digests("acme", NUMBER))))
    await store.contacts.load(made.QUESTION, lambda _: None, contacts, origin="list", keep_going=False)
    async with serving(desk) as port:
        asked = await menu(port, {"rights": ["9"], said: ["9"]}, CCARI_NUMBER=NUMBER.e164)
        other = await menu(port, {"rights": ["9"]}, CCARI_NUMBER="+48600100002")
    assert asked.played == ["rights", said, said, "rights"]
    assert other.played == ["rights", "source", "rights"]


@pytest.mark.parametrize("holds", [False, True], ids=["fails", "hangs"])
async def test_a_right_is_lost_that_is_pressed_while_the_source_is_looked_up(
    desk: Desk, store: Store, database: Any, monkeypatch: pytest.MonkeyPatch, *, holds: bool
) -> None:
    monkeypatch.setattr(keys_menu, "SOURCE_SECONDS", 0.3)
    async with serving(with_store(desk, Broken(database, "past_of", holds=holds))) as port:
        told = await menu(port, {"rights": ["9"], "wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
    assert (told.played[:2], told.variables["CCARI_RIGHT"]) == (["rights", "source"], "erasure")


class Faulty(PostgresCallStore):
    """Reads a right that it does not know, as one that a newer node has entered."""

    async def past_of(self, call: OpenedCall) -> Past:
        raise ValueError("no such right")


async def test_a_right_is_lost_because_something_unforeseen_ends_the_menu(
    desk: Desk, store: Store, database: Any
) -> None:
    with capture_logs() as logged:
        async with serving(with_store(desk, Faulty(database))) as port:
            await menu(port, {"rights": ["9"], "wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
            row = await only_row(store)
    assert (row["outcome"], row["reason"]) == ("right_exercised", "erasure")
    assert "agi_failed" in [line["event"] for line in logged]


async def keeps_pressing(port: int, key: str) -> Caller:
    """Press the key whenever a key can be pressed, to the end."""
    async with caller(port) as asterisk, asyncio.timeout(SECONDS):
        asterisk.variables["CCARI_NUMBER"] = NUMBER.e164
        asterisk.enter("rights", "renewals")
        while (line := await asterisk.hear()) is not None:
            asterisk.say(asterisk._reply(line, {"rights": [key], "source": [key], "wait": [key]}))
    return asterisk


async def test_who_presses_a_key_without_end_is_answered_without_end(desk: Desk) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            asterisk = await keeps_pressing(port, "9")
    # the presses during the look-up of the number get one answer
    assert asterisk.played[:2] == ["rights", "source"]
    assert len(asterisk.played) <= 1 + keys_menu.MOST_KEYS
    assert [line["event"] for line in logged].count("key_pressed") == keys_menu.MOST_KEYS
    assert "rights_menu_cut_off" in [line["event"] for line in logged]


async def test_who_presses_a_right_that_fails_without_end_is_answered_without_end(
    desk: Desk, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_menu, "MOST_KEYS", 1)
    pressed = {"rights": ["9"], "source": ["7"], "right_failed": ["7"] * 9}
    async with serving(with_store(desk, Broken(database, "register_right"))) as port:
        asterisk = await menu(port, pressed, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights", "source", "right_failed"]


async def test_a_visit_lasts_as_long_as_somebody_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_menu, "MOST_KEYS", 10**9)
    monkeypatch.setattr(keys_menu, "MENU_SECONDS", 2.0)
    async with serving(desk) as port:
        asterisk = await keeps_pressing(port, "9")
    assert asterisk.played[:2] == ["rights", "source"]


async def test_a_right_that_was_pressed_before_the_menu_was_cut_off_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_menu, "MOST_KEYS", 1)
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["9"], "source": ["7"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.variables["CCARI_RIGHT"] == "erasure"


async def test_a_wrong_key_is_heard_without_end_or_ends_the_menu_or_can_be_read_in_the_log(
    desk: Desk,
) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            asterisk = await menu(port, {"rights": list("134")}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights"] * 3
    assert asterisk.variables["CCARI_RIGHT"] == "none"
    assert {line["key"] for line in logged if line["event"] == "key_pressed"} == {"other"}


async def test_silence_is_asked_again(desk: Desk) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights"]


async def test_a_second_right_pressed_during_the_first_is_lost(desk: Desk, store: Store) -> None:
    async with serving(desk) as port:
        asterisk = await menu(
            port, {"rights": ["7"], "right_registered_erasure": ["8"]}, CCARI_NUMBER=NUMBER.e164
        )
    assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
    assert len(await store.requests.list(None, 10)) == 2


async def test_a_key_pressed_while_a_right_is_registered_is_lost(desk: Desk, store: Store) -> None:
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["7"], "wait": ["8"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
    first, second = asterisk.variables["CCARI_REFERENCE"].split(",")
    # nothing is said before both are durable; each is confirmed, and the date that they share is said once
    assert asterisk.played == [
        "rights", "right_registered_erasure", *read_out(first), "right_registered_access", *read_out(second),
        *await until_when(store, first),
    ]  # fmt: skip


async def test_a_key_makes_another_reference_of_the_one_that_is_read_out(desk: Desk, store: Store) -> None:
    # a digit that every year has
    digit = "digit_0"
    async with serving(desk) as port:
        asterisk = await menu(port, {"rights": ["7"], digit: ["3"]}, CCARI_NUMBER=NUMBER.e164)
    reference = asterisk.variables["CCARI_REFERENCE"]
    words = read_out(reference)
    cut = words.index(digit)
    assert asterisk.played == [
        "rights", "right_registered_erasure", *words[:cut], digit, *words[cut:], *await until_when(store, reference),
    ]  # fmt: skip


async def test_a_right_that_is_not_durable_is_confirmed(desk: Desk, database: Any) -> None:
    async with serving(with_store(desk, Broken(database, "register_right"))) as port:
        asterisk = await menu(port, {"rights": ["7"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played[:2] == ["rights", "right_failed"]
    assert asterisk.variables["CCARI_RIGHT"] == "none"


async def test_a_right_is_lost_because_the_person_hangs_up(desk: Desk, store: Store) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.variables["CCARI_NUMBER"] = NUMBER.e164
        asterisk.enter("rights", "renewals")
        while "STREAM" not in (line := await asterisk.hear() or "STREAM"):
            asterisk.say(asterisk._reply(line, {}))
        asterisk.say(f"200 result={ord('7')} endpos=8\nHANGUP\n")
        asterisk.writer.write_eof()
        await asterisk.is_cut_off()

        async def registered() -> bool:
            return len(await store.requests.list(None, 10)) == 1

        await until(registered, within=SECONDS)
        (call,) = await store.records.list_calls(10)
        row = await closed(store, str(call["id"]))
    assert (row["outcome"], row["reason"]) == ("right_exercised", "erasure")


async def test_a_right_is_lost_because_the_person_hangs_up_while_another_is_registered(
    desk: Desk, store: Store
) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.variables["CCARI_NUMBER"] = NUMBER.e164
        asterisk.enter("rights", "renewals")
        while "WAIT" not in (line := await asterisk.hear() or "WAIT"):
            asterisk.say(asterisk._reply(line, {"rights": ["7"]}))
        for key in "87":
            asterisk.say(f"200 result={ord(key)}\n")
            await asterisk.hear()
        asterisk.say("200 result=-1\nHANGUP\n")
        asterisk.writer.write_eof()
        await asterisk.is_cut_off()
        row = await only_row(store)
    assert (row["outcome"], row["reason"]) == ("right_exercised", "erasure,access")
    assert len(await store.requests.list(None, 10)) == 2


class Slow(Exercising):
    """Rights of which one is not registered until ``free``. ``said``: what was done with them, in order."""

    def __init__(self, slow: Right) -> None:
        self._slow = slow
        self.asked, self.free = asyncio.Event(), asyncio.Event()
        self.said: list[str] = []

    async def exercise(self, right: Right, _key: str, /) -> Answer:
        if right is self._slow:
            self.asked.set()
            await self.free.wait()
        self.said.append(right.value)
        return Answer("ACME-2026-000001", ())

    async def close(self, *, patient: bool) -> None:
        self.said.append(f"closed {patient=}")


class HangsUp:
    """A caller who presses 7 at the menu, and 8 while that is registered, and then hangs up at once."""

    def __init__(self) -> None:
        self._keys = iter([str(ord("7")), str(ord("8")), "-1"])

    async def command(self, *_words: str, **_: float) -> Reply:
        return Reply(next(self._keys))


@pytest.mark.parametrize("slow", [Right.ERASURE, Right.ACCESS])
async def test_a_right_is_lost_because_the_service_stops_while_what_was_pressed_before_a_hang_up_is_registered(
    slow: Right,
) -> None:
    """The store would be closed, and the process gone, before the right is in the database or on the disk; or it would take minutes."""
    exercising = Slow(slow)
    declared = read(WITH_KEYS).campaigns[0]
    visit = Menu(cast("Session", HangsUp()), declared, {}, exercising, Journal(uuid4(), "anna"))
    stopping = asyncio.create_task(visit.run())
    # by then the menu waits for nothing else
    await exercising.asked.wait()
    stopping.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    exercising.free.set()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    assert exercising.said == ["erasure", "access", "closed patient=False"]


async def stopped_in_the_reference(desk: Desk, **keys: list[str]) -> None:
    """The service stops while the reference of the first right is read out; it is heard to its end."""
    async with asyncio.timeout(SECONDS), contextlib.AsyncExitStack() as open_:
        async with serving(desk) as port:
            asterisk = await open_.enter_async_context(caller(port))
            asterisk.variables["CCARI_NUMBER"] = NUMBER.e164
            asterisk.enter("rights", "renewals")
            while "digit" not in (line := await asterisk.hear() or "digit"):
                asterisk.say(asterisk._reply(line, keys))
        await asterisk.is_cut_off()


async def test_a_right_is_lost_because_the_service_stops_before_its_turn(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.05)
    await stopped_in_the_reference(desk, rights=["7"], reference_is=["8"])
    row = await only_row(store)
    assert (row["outcome"], row["reason"]) == ("right_exercised", "erasure,access")
    assert len(await store.requests.list(None, 10)) == 2


async def test_a_service_that_stops_waits_minutes_for_a_database_that_went_away_meanwhile(
    desk: Desk, store: Store, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next service closes the call's row, as for a service that was killed."""
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.05)
    await stopped_in_the_reference(with_store(desk, Broken(database, "close")), rights=["7"])
    (call,) = await store.records.list_calls(10)
    assert call["ended_at"] is None
    assert len(await store.requests.list(None, 10)) == 1


async def test_what_is_logged_of_a_visit_does_not_say_by_which_way_it_came(desk: Desk) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            await menu(port, {"rights": ["7"]}, CCARI_NUMBER=NUMBER.e164)
    of_the_visit = [line for line in logged if "call_id" in line]
    assert "right_registered" in [line["event"] for line in of_the_visit]
    assert {line["event"]: line.get("way") for line in of_the_visit if line.get("way") != "fastagi"} == {}
