"""The FastAGI server: DENY until proven otherwise, whoever asks and whatever fails."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from ccari.agi import gate, server
from ccari.agi import session as protocol
from ccari.agi.desk import Counter
from ccari.agi.server import serve_agi
from ccari.errors import ConfigError, StoreError
from ccari.policy import notices
from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller
from ccari.policy.suppression import Reason
from ccari.ports.calls import OpenedCall
from ccari.ports.requests import Exercise
from ccari.ports.sounds import Script, Sound
from ccari.store.calls import PostgresCallStore
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.secrets import SecretStore
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.agi.asterisk import Caller, caller
from tests.unit.store.made import NUMBER, POLICY

SECONDS = 5.0
WITH_KEYS = (
    POLICY
    + """
[campaigns.keys]
"7" = "erasure"
"8" = "access"
"""
)


class Sounds:
    """Prompts that are named as they are called."""

    def scripts(self, controller: Controller, campaign: Campaign) -> dict[str, Script]:
        names = (
            "rights",
            "right_failed",
            "right_registered_erasure",
            "right_registered_access",
            "answer_within_month",
        )
        sounds = {name: self.common(name, "pl") for name in names}
        return {campaign.language: Script(sounds, dict.fromkeys(notices.wordings(campaign), "1"))}

    def common(self, prompt: str, language: str) -> Sound:
        return Sound(f"sound:{prompt}", 1000, prompt)

    def source(self, told: str, language: str) -> Sound:
        raise NotImplementedError


@pytest_asyncio.fixture
async def counter(store: Store, tmp_path: Path) -> Counter:
    await store.policies.apply(WITH_KEYS, "test")
    book, secrets = Book(store.policies), SecretStore(tmp_path)
    await book.reload()
    secrets.create("acme")
    return Counter("agi@test", store.calls, secrets, book, Sounds())


Serve = Callable[..., AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def serving(counter: Counter, most: int = 100) -> AsyncIterator[int]:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    async with serve_agi(f"127.0.0.1:{port}", counter, most=most):
        yield port


async def ask(port: int, *arguments: str) -> Caller:
    async with caller(port) as asterisk:
        asterisk.enter("gate", *arguments)
        await asterisk.obey()
    return asterisk


async def closed(store: Store, call: str) -> dict[str, Any]:
    """The call's row, once it is closed: that is after the dialplan has gone on."""

    async def ended() -> bool:
        return (await store.records.show_call(UUID(call))).call["ended_at"] is not None

    await until(ended, within=SECONDS)
    record = await store.records.show_call(UUID(call))
    assert record.fault is None
    return record.call


async def test_an_allowed_number_is_denied_or_its_row_is_left_open(counter: Counter, store: Store) -> None:
    async with serving(counter) as port:
        asterisk = await ask(port, "600 100 001", "renewals")
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert asterisk.said[0] == "SET VARIABLE CCARI_VERDICT DENY"
    assert asterisk.said[-1] == "SET VARIABLE CCARI_VERDICT ALLOW"
    assert (asterisk.variables["CCARI_REASON"], asterisk.variables["CCARI_NUMBER"]) == ("", NUMBER.e164)
    assert (row["outcome"], row["agent"]) == ("handed_back", "anna")
    assert row["dialled_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("600100001", "nonsense"), "unknown_campaign"),
        (("600100001",), "bad_arguments"),
        ((), "bad_arguments"),
        (("600100001", "renewals", "renewals"), "bad_arguments"),
        (("600100001@evil", "renewals"), "number_characters"),
        (("", "renewals"), "number_empty"),
    ],
    ids=["campaign", "one", "none", "three", "a dial string", "no number"],
)
async def test_a_question_that_cannot_be_answered_is_allowed(
    counter: Counter, store: Store, arguments: tuple[str, ...], reason: str
) -> None:
    async with serving(counter) as port:
        asterisk = await ask(port, *arguments)
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", reason)
    assert (row["outcome"], row["reason"], row["dialled_at"]) == ("blocked", reason, None)


async def test_a_barred_number_is_allowed(counter: Counter, store: Store) -> None:
    await store.suppressions.add(
        "acme", counter.secrets.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", ""
    )
    async with serving(counter) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "suppressed_erasure")


class Broken(PostgresCallStore):
    """Fails where it is told to; ``holds`` instead waits there for ever."""

    def __init__(self, database: Any, step: str, *, holds: bool = False) -> None:
        super().__init__(database)
        self._step = step
        self._holds = holds

    async def _fail(self, step: str) -> None:
        if step == self._step:
            if self._holds:
                await asyncio.Event().wait()
            raise StoreError("the database is away")

    async def open(self, *arguments: Any) -> Any:
        await self._fail("open")
        return await super().open(*arguments)

    async def spend_token(self, *arguments: Any) -> Any:
        await self._fail("spend_token")
        return await super().spend_token(*arguments)

    async def register_right(self, call: OpenedCall, exercise: Exercise, journal: Any) -> str:
        await self._fail("register_right")
        return await super().register_right(call, exercise, journal)


def with_store(counter: Counter, store: PostgresCallStore) -> Counter:
    return Counter(counter.asterisk, store, counter.secrets, counter.book, counter.prompts)


@pytest.mark.parametrize("holds", [False, True], ids=["fails", "hangs"])
@pytest.mark.parametrize("step", ["open", "spend_token"])
async def test_a_database_that_cannot_say_lets_a_call_through(
    counter: Counter, database: Any, monkeypatch: pytest.MonkeyPatch, step: str, *, holds: bool
) -> None:
    if holds:
        monkeypatch.setattr(gate, "ANSWER_SECONDS", 0.3)
    async with serving(with_store(counter, Broken(database, step, holds=holds))) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "store_unavailable")


async def test_an_answer_that_comes_too_late_is_allow(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no time at all, though the store is as quick as ever
    async def asks_anyway(*_: Any) -> None:
        return None

    monkeypatch.setattr(gate, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(gate._Visit, "verdict", asks_anyway)
    async with serving(counter) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert asterisk.verdict == "DENY"


@pytest.mark.parametrize("after", range(7))
async def test_a_hang_up_at_any_moment_gives_a_verdict_that_was_not_reached_or_leaves_a_session(
    counter: Counter, store: Store, after: int
) -> None:
    async with serving(counter) as port:
        async with caller(port) as asterisk:
            asterisk.enter("gate", NUMBER.e164, "renewals")
            for _ in range(after):
                line = await asterisk.hear()
                if line is None:
                    break
                asterisk.say(asterisk._reply(line, {}))
            asterisk.say("HANGUP\n")
            # all of it answered, the connection is closed already
            with contextlib.suppress(OSError):
                asterisk.writer.write_eof()
            await asterisk.is_cut_off()
        # the next one is served, and an attempt was counted at most once
        assert (await ask(port, NUMBER.e164, "renewals")).verdict == "ALLOW"


async def test_a_channel_that_has_hung_up_is_allowed(counter: Counter, store: Store) -> None:
    async with serving(counter) as port, caller(port) as asterisk:
        asterisk.enter("gate", NUMBER.e164, "renewals")
        asterisk.say("HANGUP\n")
        await asterisk.obey()
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert asterisk.verdict == "DENY"
    assert row["outcome"] == "agent_hangup"


async def test_more_connections_than_there_may_be_are_waited_for_or_stay(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 20
    async with serving(counter, most) as port, contextlib.AsyncExitStack() as open_:
        silent = [await open_.enter_async_context(caller(port)) for _ in range(most)]
        with capture_logs() as logged:
            refused = [await open_.enter_async_context(caller(port)) for _ in range(300)]
            for each in refused:
                await each.is_cut_off()
        assert [line["event"] for line in logged] == ["agi_turned_away"] * 300
        silent[0].writer.transport.abort()
        # a place is free: whoever comes next is served

        async def served() -> bool:
            async with caller(port) as asterisk:
                asterisk.enter("gate", NUMBER.e164, "renewals")
                await asterisk.obey()
            return asterisk.verdict == "ALLOW"

        await until(served, within=SECONDS)


async def test_a_silent_connection_holds_its_place(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    async with serving(counter, 1) as port, caller(port) as silent:
        await silent.is_cut_off()

        async def served() -> bool:
            return (await ask(port, NUMBER.e164, "renewals")).verdict == "ALLOW"

        await until(served, within=SECONDS)


async def test_a_script_that_there_is_not_leaves_a_verdict_from_before(counter: Counter) -> None:
    async with serving(counter) as port, caller(port) as asterisk:
        asterisk.variables["CCARI_VERDICT"] = "ALLOW"
        asterisk.enter("gates", NUMBER.e164, "renewals")
        await asterisk.obey()
    assert asterisk.verdict == "DENY"


async def test_a_service_that_lives_is_taken_for_hung_or_says_more_than_that(counter: Counter) -> None:
    async with serving(counter) as port, caller(port) as asterisk:
        asterisk.enter("alive", NUMBER.e164, "renewals")
        await asterisk.obey()
    assert asterisk.variables == {"CCARI_ALIVE": "yes"}


async def test_a_number_is_logged_whole(counter: Counter) -> None:
    with capture_logs() as logged:
        async with serving(counter) as port:
            await ask(port, NUMBER.e164, "renewals")
            await ask(port, "renewals", NUMBER.e164)
            async with caller(port) as asterisk:
                asterisk.enter(NUMBER.digits)
                await asterisk.obey()
    assert logged
    assert NUMBER.digits not in str(logged)


async def test_a_service_that_stops_waits_for_ever_or_allows(
    counter: Counter, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(gate, "ANSWER_SECONDS", 1000.0)
    hanging = with_store(counter, Broken(database, "open", holds=True))
    async with asyncio.timeout(SECONDS), contextlib.AsyncExitStack() as open_:
        async with serving(hanging) as port:
            asterisk = await open_.enter_async_context(caller(port))
            asterisk.enter("gate", NUMBER.e164, "renewals")
            assert await asterisk.hear() == "SET VARIABLE CCARI_VERDICT DENY"
            asterisk.say("200 result=1\n")
        await asterisk.is_cut_off()
    assert asterisk.said == ["SET VARIABLE CCARI_VERDICT DENY"]


async def test_a_port_that_is_taken_is_told_without_its_setting(counter: Counter) -> None:
    async with serving(counter) as port:
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: .*\[agi\] listen"):
            async with serve_agi(f"127.0.0.1:{port}", counter):
                pass


async def menu(port: int, keys: dict[str, list[str]], campaign: str = "renewals", **values: str) -> Caller:
    """A visit to the keys menu; a value in capitals is a variable of the channel."""
    async with caller(port) as asterisk:
        asterisk.variables |= {name: value for name, value in values.items() if name.isupper()}
        asterisk.enter(
            "rights", campaign, **{name: value for name, value in values.items() if name.islower()}
        )
        await asterisk.obey(keys)
    return asterisk


async def test_a_right_is_confirmed_before_it_is_registered_or_not_kept(
    counter: Counter, store: Store
) -> None:
    async with serving(counter) as port:
        asterisk = await menu(port, {"rights": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        (request,) = await store.requests.list(None, 10)
    assert asterisk.played == ["rights", "right_registered_erasure", "answer_within_month"]
    reference = asterisk.variables["CCARI_REFERENCE"]
    assert (asterisk.variables["CCARI_RIGHT"], request["reference"]) == ("erasure", reference)
    shown = (await store.requests.show(reference)).request
    assert (shown["number"], shown["number_from"], shown["level"]) == (NUMBER.e164, "dialled", 1)


async def test_the_next_call_to_who_pressed_a_key_is_allowed(counter: Counter) -> None:
    async with serving(counter) as port:
        await menu(port, {"wait": ["7"]}, CCARI_NUMBER=NUMBER.e164)
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "suppressed_erasure")


async def test_a_caller_is_taken_for_surer_than_a_caller_id_is(counter: Counter, store: Store) -> None:
    async with serving(counter) as port:
        asterisk = await menu(port, {"wait": ["8"]}, agi_callerid="600100001")
        shown = (await store.requests.show(asterisk.variables["CCARI_REFERENCE"])).request
    assert (shown["number"], shown["number_from"], shown["level"]) == (NUMBER.e164, "caller_id", 0)


@pytest.mark.parametrize(
    "values",
    [
        {"agi_callerid": "600100001", "agi_callingpres": "32"},
        {"agi_callerid": "unknown"},
        {"agi_callerid": "101"},
    ],
    ids=["withheld", "unknown", "an extension"],
)
async def test_a_right_is_registered_for_nobody_or_refused_in_silence(
    counter: Counter, store: Store, values: dict[str, str]
) -> None:
    with capture_logs() as logged:
        async with serving(counter) as port:
            asterisk = await menu(port, {"rights": ["7"]}, **values)
    assert asterisk.played == ["right_failed"]
    assert (asterisk.variables["CCARI_RIGHT"], asterisk.variables["CCARI_REFERENCE"]) == ("none", "none")
    assert "rights_menu_failed" in [line["event"] for line in logged]
    assert await store.requests.list(None, 10) == []


async def test_a_wrong_key_is_heard_without_end_or_ends_the_menu(counter: Counter) -> None:
    async with serving(counter) as port:
        asterisk = await menu(port, {"rights": list("123456789")}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights"] * 3
    assert asterisk.variables["CCARI_RIGHT"] == "none"


async def test_silence_is_asked_again(counter: Counter) -> None:
    async with serving(counter) as port:
        asterisk = await menu(port, {}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played == ["rights"]


async def test_a_second_right_pressed_during_the_first_is_lost(counter: Counter, store: Store) -> None:
    async with serving(counter) as port:
        asterisk = await menu(
            port, {"rights": ["7"], "right_registered_erasure": ["8"]}, CCARI_NUMBER=NUMBER.e164
        )
    assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
    assert len(await store.requests.list(None, 10)) == 2


async def test_a_key_pressed_while_a_right_is_registered_is_lost(counter: Counter) -> None:
    async with serving(counter) as port:
        asterisk = await menu(port, {"rights": ["7"], "wait": ["8"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.variables["CCARI_RIGHT"] == "erasure,access"
    # nothing is said before the first is durable, and each is confirmed
    assert asterisk.played == [
        "rights", "right_registered_erasure", "answer_within_month", "right_registered_access", "answer_within_month",
    ]  # fmt: skip


async def test_a_right_that_is_not_durable_is_confirmed(counter: Counter, database: Any) -> None:
    async with serving(with_store(counter, Broken(database, "register_right"))) as port:
        asterisk = await menu(port, {"rights": ["7"]}, CCARI_NUMBER=NUMBER.e164)
    assert asterisk.played[:2] == ["rights", "right_failed"]
    assert asterisk.variables["CCARI_RIGHT"] == "none"


async def test_a_right_is_lost_because_the_person_hangs_up(counter: Counter, store: Store) -> None:
    async with serving(counter) as port, caller(port) as asterisk:
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
