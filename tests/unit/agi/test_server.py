"""The FastAGI server: DENY unless proven otherwise, whoever asks and whatever fails."""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ccari.agi import gate, server
from ccari.agi import session as protocol
from ccari.agi.desk import Desk
from ccari.agi.server import serve_agi
from ccari.errors import ConfigError
from ccari.gating import abandoned
from ccari.gating.shipped import MOST_TOLD, Dialplans
from ccari.policy.suppression import Reason
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.lab.waiting import until
from tests.unit.agi.asterisk import caller
from tests.unit.agi.served import DATED, SECONDS, Broken, ask, closed, menu, serving, with_store
from tests.unit.store.made import NUMBER, call, question


async def test_an_allowed_number_is_denied_or_its_row_is_left_open(desk: Desk, store: Store) -> None:
    async with serving(desk) as port:
        asterisk = await ask(port, "600 100 001", "renewals")
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert asterisk.said == [
        "SET VARIABLE CCARI_VERDICT DENY",
        # only with the first call
        "SET VARIABLE ARRAY(CCARI_ARRAY) yes",
        "GET VARIABLE CCARI_ARRAY",
        f"SET VARIABLE ARRAY(CCARI_CALL,CCARI_REASON,__CCARI_NUMBER,CCARI_VERDICT) {row['id']},,{NUMBER.e164},ALLOW",
    ]
    assert (asterisk.variables["CCARI_REASON"], asterisk.variables["CCARI_NUMBER"]) == ("", NUMBER.e164)
    assert (row["outcome"], row["agent"]) == ("handed_back", "anna")
    assert row["dialled_at"] is not None


async def test_an_asterisk_that_lacks_a_function_is_told_nothing(desk: Desk, store: Store) -> None:
    """Asterisk answers that everything was set, and nothing was."""
    async with serving(desk) as port:
        told = [await ask(port, "600 100 001", "renewals", has_array=False) for _ in range(2)]
        rows = [await closed(store, each.variables["CCARI_CALL"]) for each in told]
    assert [each.variables["CCARI_NUMBER"] for each in told] == [NUMBER.e164] * 2
    assert [each.verdict for each in told] == ["ALLOW"] * 2
    assert [row["outcome"] for row in rows] == ["handed_back"] * 2


async def test_what_one_asterisk_can_is_taken_for_what_another_can(desk: Desk) -> None:
    async with serving(desk) as port:
        assert (await ask(port, "600 100 001", "renewals")).verdict == "ALLOW"
        lacking = await ask(port, "600 100 002", "renewals", has_array=False, address="127.0.0.2")
    assert lacking.verdict == "ALLOW"


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
    desk: Desk, store: Store, arguments: tuple[str, ...], reason: str
) -> None:
    async with serving(desk) as port:
        asterisk = await ask(port, *arguments)
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", reason)
    assert (row["outcome"], row["reason"], row["dialled_at"]) == ("blocked", reason, None)


async def test_a_campaign_that_is_named_by_a_date_is_unknown(desk: Desk, store: Store) -> None:
    await store.policies.apply(DATED, "test")
    async with serving(desk) as port:
        asterisk = await ask(port, NUMBER.e164, "offers-20261001")
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert (asterisk.verdict, row["campaign"]) == ("ALLOW", "offers-20261001")


async def test_a_barred_number_is_allowed(desk: Desk, store: Store) -> None:
    await store.suppressions.add("acme", desk.secrets.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")
    async with serving(desk) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "suppressed_erasure")


@pytest.mark.parametrize("holds", [False, True], ids=["fails", "hangs"])
@pytest.mark.parametrize("step", ["open", "spend_token"])
async def test_a_database_that_cannot_say_lets_a_call_through(
    desk: Desk, database: Any, monkeypatch: pytest.MonkeyPatch, step: str, *, holds: bool
) -> None:
    if holds:
        monkeypatch.setattr(gate, "ANSWER_SECONDS", 0.3)
    async with serving(with_store(desk, Broken(database, step, holds=holds))) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert (asterisk.verdict, asterisk.variables["CCARI_REASON"]) == ("DENY", "store_unavailable")


async def test_an_answer_that_comes_too_late_is_allow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    # no time at all, although the store is as quick as ever
    async def asks_anyway(*_: Any) -> None:
        return None

    monkeypatch.setattr(gate, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(gate._Visit, "verdict", asks_anyway)
    async with serving(desk) as port:
        asterisk = await ask(port, NUMBER.e164, "renewals")
    assert asterisk.verdict == "DENY"


@pytest.mark.parametrize("after", range(7))
async def test_a_hang_up_at_any_moment_leaves_a_session_or_keeps_the_next_one_out(
    desk: Desk, after: int
) -> None:
    async with serving(desk) as port:
        async with caller(port) as asterisk:
            asterisk.enter("gate", NUMBER.e164, "renewals")
            for _ in range(after):
                line = await asterisk.hear()
                if line is None:
                    break
                asterisk.say(asterisk._reply(line, {}))
            asterisk.say("HANGUP\n")
            # everything was answered, but the connection is already closed
            with contextlib.suppress(OSError):
                asterisk.writer.write_eof()
            await asterisk.is_cut_off()
        assert (await ask(port, NUMBER.e164, "renewals")).verdict == "ALLOW"


async def test_a_channel_that_has_hung_up_is_allowed(desk: Desk, store: Store) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.enter("gate", NUMBER.e164, "renewals")
        asterisk.say("HANGUP\n")
        await asterisk.obey()
        row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert asterisk.verdict == "DENY"
    assert row["outcome"] == "agent_hangup"


@pytest.mark.parametrize(
    ("reply", "ended"),
    [
        ("510 Invalid or unknown command\n", ("failed", "untold")),
        ("511 Dead\n", ("agent_hangup", "")),
        ("HANGUP\n200 result=1\n", ("agent_hangup", "")),
    ],
    ids=["unknown command", "dead channel", "hung up meanwhile"],
)
async def test_a_call_that_the_dialplan_was_not_told_of_is_handed_back(
    desk: Desk, store: Store, reply: str, ended: tuple[str, str]
) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        # the first call finds out what Asterisk can do
        await ask(port, "", "renewals")
        asterisk.enter("gate", NUMBER.e164, "renewals")
        await asterisk.hear()
        asterisk.say("200 result=1\n")
        line = await asterisk.hear() or ""
        assert "ALLOW" in line
        asterisk.say(reply)
        await asterisk.is_cut_off()
        (shown,) = [each for each in await store.records.list_calls(2) if str(each["id"]) in line]
        row = await closed(store, str(shown["id"]))
    # its token is spent all the same
    assert (row["outcome"], row["reason"], row["dialled_at"] is None) == (*ended, False)


@pytest.mark.parametrize("lost", ["late", "closed"])
async def test_a_call_that_the_dialplan_may_have_made_is_on_record_as_one_that_failed(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Asterisk has received ALLOW, and dials, but the network loses its answer."""
    async with serving(desk) as port, caller(port) as asterisk:
        await ask(port, "", "renewals")
        asterisk.enter("gate", NUMBER.e164, "renewals")
        await asterisk.hear()
        if lost == "late":
            monkeypatch.setattr(protocol.Session.command, "__kwdefaults__", {"seconds": 0.2})
        asterisk.say("200 result=1\n")
        line = await asterisk.hear() or ""
        assert "ALLOW" in line
        if lost == "closed":
            asterisk.writer.transport.abort()
        (shown,) = [each for each in await store.records.list_calls(2) if str(each["id"]) in line]
        row = await closed(store, str(shown["id"]))
    assert (row["outcome"], row["reason"], row["dialled_at"] is None) == ("handed_back", "untold", False)


async def test_a_call_that_was_allowed_as_the_service_died_is_on_record_as_one_that_failed(
    desk: Desk, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk has its ALLOW, and dials."""
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.0)
    async with serving(with_store(desk, Broken(database, "close", holds=True))) as port:
        allowed = await ask(port, NUMBER.e164, "renewals")
    assert allowed.verdict == "ALLOW"
    monkeypatch.setattr(server, "LONGEST_SECONDS", 0.0)
    monkeypatch.setattr(abandoned, "SWEEP_SECONDS", 0.01)
    async with serving(desk):
        row = await closed(store, allowed.variables["CCARI_CALL"])
    assert (row["outcome"], row["reason"], row["dialled_at"] is None) == (
        "handed_back",
        "service_died",
        False,
    )


async def test_a_verdict_that_was_given_up_is_sent_again_until_it_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the connection is closed in order, the kernel sends what it still has once the network is back."""
    async with serving(desk) as port, caller(port) as asterisk:
        monkeypatch.setattr(protocol.Session.command, "__kwdefaults__", {"seconds": 0.2})
        asterisk.enter("gate", NUMBER.e164, "renewals")
        assert await asterisk.hear() == "SET VARIABLE CCARI_VERDICT DENY"
        with pytest.raises(ConnectionResetError):
            await asterisk.reader.read()


async def test_more_connections_than_there_may_be_are_waited_for_or_stay(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # however long it takes to turn away 300, the silent ones keep their places
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 600.0)
    monkeypatch.setattr(server, "MOST_SESSIONS", most := 20)
    async with serving(desk) as port, contextlib.AsyncExitStack() as open_:
        silent = [await open_.enter_async_context(caller(port)) for _ in range(most)]
        with capture_logs() as logged:
            refused = [await open_.enter_async_context(caller(port)) for _ in range(300)]
            for each in refused:
                await each.is_cut_off()
            await until(lambda: sum(line["times"] for line in logged) == 300, within=SECONDS)
        assert {line["event"] for line in logged} == {"agi_turned_away"}
        # turning them away takes seconds on a busy machine
        assert len(logged) < 100
        silent[0].writer.transport.abort()
        # a place is free: the next one is served

        async def served() -> bool:
            async with caller(port) as asterisk:
                asterisk.enter("gate", NUMBER.e164, "renewals")
                await asterisk.obey()
            return asterisk.verdict == "ALLOW"

        await until(served, within=SECONDS)


async def test_a_silent_connection_holds_its_place(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    monkeypatch.setattr(server, "MOST_SESSIONS", 1)
    async with serving(desk) as port, caller(port) as silent:
        await silent.is_cut_off()

        async def served() -> bool:
            return (await ask(port, NUMBER.e164, "renewals")).verdict == "ALLOW"

        await until(served, within=SECONDS)


async def test_a_script_that_does_not_exist_leaves_an_earlier_verdict(desk: Desk) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.variables["CCARI_VERDICT"] = "ALLOW"
        asterisk.enter("gates", NUMBER.e164, "renewals")
        await asterisk.obey()
    assert asterisk.verdict == "DENY"


async def test_a_service_that_lives_is_taken_for_hung_or_says_more_than_that(desk: Desk) -> None:
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.enter("alive", NUMBER.e164, "renewals")
        await asterisk.obey()
    assert asterisk.variables == {"CCARI_ALIVE": "yes"}


@pytest.mark.parametrize(
    ("question", "answer"),
    [("alive?agi=1&stasis=1", "no"), ("alive?agi=1&stasis=", "no"), ("alive?agi=1&stasis=-", "yes"), ("alive", "yes")],
)  # fmt: skip
async def test_a_caller_is_sent_to_a_service_that_does_not_hear_asterisk_or_kept_from_the_menu_over_fastagi(
    desk: Desk, question: str, answer: str
) -> None:
    async def silent() -> bool:
        return False

    async with serving(replace(desk, takes_stasis=silent)) as port, caller(port) as asterisk:
        asterisk.enter(question)
        await asterisk.obey()
    assert asterisk.variables == {"CCARI_ALIVE": answer}


async def test_callers_are_kept_from_stasis_and_nobody_can_see_why_or_each_is_told_of(desk: Desk) -> None:
    async def silent() -> bool:
        return False

    with capture_logs() as logged:
        async with serving(replace(desk, takes_stasis=silent)) as port:
            for _ in range(20):
                async with caller(port) as asterisk:
                    asterisk.enter("alive?agi=1&stasis=1")
                    await asterisk.obey()
            told = [line for line in logged if line["event"] == "agi_stasis_away"]
            assert (told[0]["times"], told[0]["log_level"]) == (1, "warning")
            await until(lambda: sum(line.get("times", 0) for line in logged) == 20, within=SECONDS)
    assert len([line for line in logged if line["event"] == "agi_stasis_away"]) < 20


async def test_a_dialplan_of_another_version_goes_unseen_or_is_told_of_with_each_call(desk: Desk) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            for question in ("alive", "alive?agi=1&stasis=", "alive?agi=1&stasis=1", "alive?agi=1&stasis=-",
                             "alive?agi=0&stasis=-", "alive", "gate", "gate?agi=1", "gate?agi=0"):  # fmt: skip
                async with caller(port) as asterisk:
                    asterisk.enter(question, NUMBER.e164, "renewals")
                    await asterisk.obey()
                assert asterisk.variables.get("CCARI_ALIVE", asterisk.verdict) in {"yes", "ALLOW"}
    told = [line for line in logged if line["event"] == "dialplan_differs"]
    assert [(line["dialplan"], line["version"]) for line in told] == [
        ("extensions_ccari_agi.conf", "none"), ("extensions_ccari.conf", "none"), ("extensions_ccari_agi.conf", "0"),
    ]  # fmt: skip
    assert {(line["shipped"], line["log_level"]) for line in told} == {("1", "warning")}


async def test_versions_that_somebody_makes_up_fill_the_log_or_show_a_number(desk: Desk) -> None:
    with capture_logs() as logged:
        for each in range(100):
            desk.dialplans.seen("extensions_ccari.conf", f"{each}x")
        Dialplans().seen("extensions_ccari.conf", NUMBER.e164)
    told = [line for line in logged if line["event"] == "dialplan_differs"]
    assert len(told) == MOST_TOLD + 1
    assert NUMBER.digits not in str(told)


async def test_a_number_is_logged_whole_or_kept_as_a_campaign(desk: Desk, store: Store) -> None:
    with capture_logs() as logged:
        async with serving(desk) as port:
            await ask(port, NUMBER.e164, "renewals")
            swapped = await ask(port, "renewals", NUMBER.e164)
            row = await closed(store, swapped.variables["CCARI_CALL"])
            async with caller(port) as asterisk:
                asterisk.enter(NUMBER.digits)
                await asterisk.obey()
            await menu(port, {}, campaign=NUMBER.e164)
    assert {"call_blocked", "rights_menu_failed"} <= {line["event"] for line in logged}
    assert NUMBER.digits not in str(logged)
    assert row["campaign"] == "…"


async def test_a_service_that_stops_waits_for_ever_or_allows(
    desk: Desk, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DRAIN_SECONDS", 0.05)
    monkeypatch.setattr(gate, "ANSWER_SECONDS", 1000.0)
    hanging = with_store(desk, Broken(database, "open", holds=True))
    async with asyncio.timeout(SECONDS), contextlib.AsyncExitStack() as open_:
        async with serving(hanging) as port:
            asterisk = await open_.enter_async_context(caller(port))
            asterisk.enter("gate", NUMBER.e164, "renewals")
            assert await asterisk.hear() == "SET VARIABLE CCARI_VERDICT DENY"
            asterisk.say("200 result=1\n")
        await asterisk.is_cut_off()
    assert asterisk.said == ["SET VARIABLE CCARI_VERDICT DENY"]


async def test_a_port_that_is_taken_is_told_without_its_setting(desk: Desk) -> None:
    async with serving(desk) as port:
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: .*\[agi\] listen"):
            async with serve_agi(f"127.0.0.1:{port}", desk):
                pass


async def test_a_service_that_begins_ends_the_calls_of_another_machine_with_the_same_host_name(
    desk: Desk, store: Store
) -> None:
    """One that was cloned, say: FastAGI does not tell which Asterisk asks, and the host's name stands for it."""
    async with serving(desk) as port, caller(port) as asterisk:
        asterisk.enter("gate", NUMBER.e164, "renewals")
        while "ALLOW" not in (line := await asterisk.hear() or "ALLOW"):
            asterisk.say(asterisk._reply(line, {}))
        async with serving(desk):
            asterisk.say(asterisk._reply(line, {}))
            await asterisk.obey()
            row = await closed(store, asterisk.variables["CCARI_CALL"])
    assert (row["outcome"], row["reason"]) == ("handed_back", "")


async def test_a_call_whose_database_hung_at_the_gate_stays_open(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row may be written all the same, when nobody waits for the answer any more."""
    monkeypatch.setattr(abandoned, "SWEEP_SECONDS", 0.01)
    hung, under_way = call(asterisk=desk.asterisk), call(asterisk=desk.asterisk)
    async with serving(desk):
        for each in (hung, under_way):
            await store.calls.open(each, question(each))
        await store.database.rows(
            "UPDATE calls SET opened_at = now() - interval '20 minutes' WHERE id = $1", hung.id
        )
        row = await closed(store, str(hung.id))
        assert (row["outcome"], row["reason"]) == ("failed", "service_died")
        assert (await store.records.show_call(under_way.id)).call["ended_at"] is None
