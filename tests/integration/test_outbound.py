"""Outbound calls from an agent's phone, over SIP, through a real Asterisk, to callees of every kind."""

import asyncio
import contextlib
import csv
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ccari.recordings.tags import beside
from ccari.sounds.audio import TAIL_MS
from tests.integration.dialplans.pbxs import BOUND_SECONDS, hung
from tests.integration.ground import heard_on
from tests.integration.service import Service
from tests.integration.studio import CONFIRMED, SECONDS, tone_of
from tests.lab import AgentCall, Callee, Lab, Outcome, audio, callees
from tests.lab.audio import ABSENT_DBFS, PRESENT_DBFS, Audio, has
from tests.lab.pbx import Pbx
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

GONE_SECONDS = 30.0
BYTES_PER_SECOND = 16_000
#: The SIP status for an agent whose callee answered, and is gone.
DECLINED = 603


@dataclass(frozen=True)
class Ended:
    """A call after its end: the agent's side, the outcome given to the dialplan, and the output of ``ccari calls
    show``.
    """

    agent: AgentCall
    outcome: Outcome
    record: dict[str, Any]

    @property
    def verdict(self) -> tuple[str, str]:
        return self.outcome.outcome, self.outcome.reason

    @property
    def events(self) -> list[str]:
        return [each["event"] for each in self.record["events"]]

    def at(self, event: str) -> datetime:
        return next(
            datetime.fromisoformat(each["at"]) for each in self.record["events"] if each["event"] == event
        )


async def through(
    service: Service, lab: Lab, callee: Callee | str, *, campaign: str = "renewals", agent: str = "talks"
) -> Ended:
    """Place a call and wait for its end."""
    number = callee if isinstance(callee, str) else callee.number
    return await over(service, lab, await lab.world.dial(number, campaign=campaign, agent=agent))


async def over(service: Service, lab: Lab, placed: AgentCall) -> Ended:
    """Wait for the end of a call; nothing of it may be left in Asterisk."""
    await placed.ended()
    outcome = await lab.pbx.outcome(placed.id)
    await service.logged("call_ended", call_id=outcome.call)
    record = await service.ended(outcome.call)
    await until(lambda: _is_gone(lab, outcome.call), within=GONE_SECONDS)
    return Ended(placed, outcome, record)


async def come_to(
    event: str, service: Service, lab: Lab, callee: Callee, *, campaign: str = "renewals"
) -> tuple[AgentCall, str]:
    """A call that has come to this event, and its id. The agent talks until they are told to hang up."""
    before = {line.get("call_id") for line in service.lines()}
    placed = await lab.world.dial(callee.number, campaign=campaign)
    come = await service.logged(
        lambda line: (
            line["event"] == event
            and line["call_id"] not in before
            and line["number"].endswith(callee.number[-4:])
        )
    )
    return placed, come["call_id"]


async def talking(
    service: Service, lab: Lab, callee: Callee, *, campaign: str = "renewals"
) -> tuple[AgentCall, str]:
    """A call of whose talk two seconds are recorded, and its id."""
    placed, call_id = await come_to("call_bridged", service, lab, callee, campaign=campaign)
    await recorded_a_while(service, lab, call_id)
    return placed, call_id


async def recorded_a_while(service: Service, lab: Lab, call_id: str, *, seconds: float = 1.0) -> None:
    """Wait until so much of the call's newest recording is in the spool: Asterisk writes some two seconds at a time. A
    machine that stands still for a moment records less than its clock says.
    """

    async def has_grown() -> bool:
        recordings = (await service.call(call_id))["recordings"]
        raw = lab.pbx.spool / f"{recordings[-1]['id']}.wav" if recordings else None
        return raw is not None and raw.exists() and raw.stat().st_size > seconds * BYTES_PER_SECOND

    await until(has_grown, within=GONE_SECONDS)


async def _is_gone(lab: Lab, call: str) -> bool:
    left = await lab.pbx.cli("core show channels concise") + await lab.pbx.cli("bridge show all")
    return call not in left


def recording(service: Service, ended: Ended) -> Audio:
    return service.recorded(_kept(ended))


def tag_of(service: Service, ended: Ended) -> str:
    return beside(service.recordings / _kept(ended)["file"]).read_text()


def _kept(ended: Ended) -> dict[str, Any]:
    (kept,) = ended.record["recordings"]
    assert kept["state"] == "stored"
    return dict(kept)


def files_of(service: Service, lab: Lab, ended: Ended) -> list[str]:
    """Every file, raw or stored, that has the name of one of the call's recordings."""
    names = {each["id"] for each in ended.record["recordings"]}
    folders = (lab.pbx.spool, service.recordings)
    return [
        path.name for folder in folders for path in folder.rglob("*") if path.name.partition(".")[0] in names
    ]


def seconds_of(sound: Audio, hz: float) -> float:
    return float(np.count_nonzero(sound.tone_levels(hz) > PRESENT_DBFS)) * audio.WINDOW_SECONDS


def first_second(sound: Audio, hz: float) -> float:
    return float(np.argmax(sound.tone_levels(hz) > PRESENT_DBFS)) * audio.WINDOW_SECONDS


async def test_an_allowed_call_is_announced_then_recorded_then_bridged(service: Service, lab: Lab) -> None:
    ended = await through(service, lab, callees.answers(1), agent="drops-3")
    assert ended.verdict == ("bridged", "")
    order = ["call_gated", "callee_dialled", "callee_answered", "notice_heard", "recording_tagged",
             "recording_started", "call_bridged", "recording_stored", "call_ended"]  # fmt: skip
    assert [each for each in ended.events if each in order] == order
    assert ended.record["fault"] is None
    assert await service.json("calls", "show", ended.outcome.call) == ended.record


async def test_the_recording_holds_both_voices_from_its_start_and_nothing_of_the_notice(
    service: Service, lab: Lab
) -> None:
    placed, call_id = await come_to("call_bridged", service, lab, callees.answers(2))
    await recorded_a_while(service, lab, call_id, seconds=3.0)
    await lab.world.hang_up(placed)
    ended = await over(service, lab, placed)
    sound = recording(service, ended)
    assert seconds_of(sound, callees.TONE_HZ) > 2.5
    assert seconds_of(sound, callees.AGENT_TONE_HZ) > 2.5
    # the callee talks throughout, so a file begun during the notice would be longer than the talk, and contain the
    # notice's tones
    assert first_second(sound, callees.TONE_HZ) <= 0.2
    longest = (ended.at("call_ended") - ended.at("recording_started")).total_seconds()
    # at least as long as both voices were heard; the call ends once its file is stored, which takes time on a busy machine
    assert sound.seconds < longest + 0.5
    for prompt in ("identity", "recording_opt_out", "rights"):
        assert float(np.max(sound.tone_levels(tone_of(prompt)))) < ABSENT_DBFS
    other = sound.between(0.3, sound.seconds - 0.3).other_levels([callees.TONE_HZ, callees.AGENT_TONE_HZ])
    assert float(np.median(other)) < ABSENT_DBFS


async def test_the_callee_hears_the_whole_notice_before_the_agent(service: Service, lab: Lab) -> None:
    callee = callees.answers(3)
    ended = await through(service, lab, callee, agent="drops-2")
    heard = audio.read(await lab.world.heard_by(callee.number))
    starts = []
    for prompt in ("identity", "recording_opt_out", "rights"):
        assert seconds_of(heard, tone_of(prompt)) == pytest.approx(SECONDS, abs=0.25)
        starts.append(first_second(heard, tone_of(prompt)))
    starts.append(first_second(heard, callees.AGENT_TONE_HZ))
    assert starts == sorted(starts)
    agent = audio.read(await lab.world.heard_by_agent(ended.agent))
    assert not any(has(agent, tone_of(prompt)) for prompt in ("identity", "recording_opt_out", "rights"))


async def test_the_tag_is_committed_before_the_recorder_starts(service: Service, lab: Lab) -> None:
    ended = await through(service, lab, callees.answers(4), agent="drops-1")
    (row,) = [
        each for each in await service.json("recordings", "list") if each["call_id"] == ended.outcome.call
    ]
    assert datetime.fromisoformat(row["tagged_at"]) < datetime.fromisoformat(row["started_at"])
    tag = tag_of(service, ended)
    for told in (
        ended.outcome.call,
        '"legal_basis": "legitimate_interest"',
        "#A6-1-f",
        row["sha256"],
        "opt_out",
    ):
        assert told in tag


async def test_a_suppressed_number_is_never_invited(service: Service, lab: Lab) -> None:
    callee = callees.answers(5)
    await service.succeeds("suppress", "add", callee.number, "--reason", "erasure")
    ended = await through(service, lab, callee)
    assert ended.verdict == ("blocked", "suppressed_erasure")
    assert await lab.world.invites(callee.number) == 0
    agent = audio.read(await lab.world.heard_by_agent(ended.agent))
    assert has(agent, tone_of("agent_blocked_suppressed"))


async def test_an_objection_to_marketing_bars_offers_and_not_the_contract(service: Service, lab: Lab) -> None:
    callee = callees.answers(6)
    await service.ccari("suppress", "add", callee.number, "--reason", "objection_marketing")
    offer = await through(service, lab, callee, campaign="offers")
    assert offer.verdict == ("blocked", "suppressed_objection_marketing")
    assert await lab.world.invites(callee.number) == 0
    renewal = await through(service, lab, callee, agent="drops-1")
    assert renewal.verdict == ("bridged", "")


async def test_erasure_by_key_is_durable_before_it_is_confirmed_and_bars_the_next_call(
    service: Service, lab: Lab
) -> None:
    callee = callees.presses("7", 1, 7)
    ended = await through(service, lab, callee)
    assert ended.verdict == ("right_exercised", "erasure")
    heard = audio.read(await lab.world.heard_by(callee.number))
    assert has(heard, CONFIRMED)
    assert has(heard, tone_of("goodbye"))
    (request,) = await requests_of(service, ended)
    assert (request["right"], request["state"], request["article"]) == ("erasure", "received", "17")
    # Asterisk's own clock and log say when the confirmation began; the database says when the request was there
    confirmed = next(
        at
        for at, prompt in playing(lab, after=ended.at("call_gated"))
        if prompt == "right_registered_erasure"
    )
    assert await registered_at(service, ended) < confirmed
    assert files_of(service, lab, ended) == []
    again = await through(service, lab, callee)
    assert again.verdict == ("blocked", "suppressed_erasure")
    assert await lab.world.invites(callee.number) == 1


async def test_erasure_in_the_talk_stops_the_recording_and_ends_the_call(service: Service, lab: Lab) -> None:
    callee = callees.answers(8)
    placed, _ = await talking(service, lab, callee)
    await lab.world.callee_presses(callee.number, "7")
    ended = await over(service, lab, placed)
    assert ended.verdict == ("right_exercised", "erasure")
    assert "call_bridged" in ended.events
    sound = recording(service, ended)
    assert float(np.max(sound.tone_levels(CONFIRMED))) < ABSENT_DBFS


@pytest.mark.parametrize(
    ("key", "campaign", "right", "outcome"),
    [
        ("5", "offers", "objection_marketing", "right_exercised"),
        ("6", "offers", "withdraw_consent", "right_exercised"),
        ("8", "offers", "access", "bridged"),
        ("5", "renewals", "objection_marketing", "bridged"),
    ],
)
async def test_a_right_pressed_ends_the_call_only_if_it_bars_the_campaign(
    service: Service, lab: Lab, key: str, campaign: str, right: str, outcome: str
) -> None:
    callee = callees.presses(key, 1, 10 if campaign == "offers" else 11)
    if campaign == "offers":
        await service.consented(callee.number)
    ended = await through(service, lab, callee, campaign=campaign, agent="drops-3")
    assert ended.verdict == (outcome, right)
    assert [each["right"] for each in await requests_of(service, ended)] == [right]
    assert has(audio.read(await lab.world.heard_by(callee.number)), CONFIRMED)


async def test_the_same_key_twice_is_one_request(service: Service, lab: Lab) -> None:
    ended = await through(service, lab, callees.presses_twice("8", 1, 12), agent="drops-4")
    assert [each["right"] for each in await requests_of(service, ended)] == ["access"]


async def test_a_callee_who_sends_no_packet_ends_the_recording(service: Service, lab: Lab) -> None:
    """Asterisk ends a recording without an event after two seconds without a frame; a snoop channel always has frames."""
    placed, call_id = await come_to("call_bridged", service, lab, callees.mute(31))
    await recorded_a_while(service, lab, call_id, seconds=5.5)
    await lab.world.hang_up(placed)
    ended = await over(service, lab, placed)
    assert ended.verdict == ("bridged", "")
    sound = recording(service, ended)
    talk = (ended.at("call_ended") - ended.at("call_bridged")).total_seconds()
    assert 5.3 < sound.seconds < talk + 0.7
    assert seconds_of(sound, callees.AGENT_TONE_HZ) > 5.0


async def test_a_refused_recording_leaves_no_file_and_the_talk_goes_on(service: Service, lab: Lab) -> None:
    callee = callees.presses("2", 1, 13)
    ended = await through(service, lab, callee, agent="drops-3")
    assert ended.verdict == ("bridged", "recording_refused")
    assert "recording_started" not in ended.events
    assert files_of(service, lab, ended) == []
    assert ended.record["recordings"] == []
    heard = audio.read(await lab.world.heard_by(callee.number))
    assert has(heard, tone_of("continues_unrecorded"))
    assert has(heard, callees.AGENT_TONE_HZ)
    (request,) = await requests_of(service, ended)
    assert (request["right"], request["state"], request["number"]) == ("refuse_recording", "fulfilled", None)


async def test_a_refusal_in_the_talk_stops_the_recorder(service: Service, lab: Lab) -> None:
    callee = callees.answers(14)
    placed, call_id = await talking(service, lab, callee)
    await lab.world.callee_presses(callee.number, "2")
    await service.logged("right_registered", call_id=call_id)
    await heard_on(lab.world, callee)
    await lab.world.hang_up(placed)
    ended = await over(service, lab, placed)
    assert ended.verdict == ("bridged", "recording_refused")
    sound = recording(service, ended)
    talk = (ended.at("call_ended") - ended.at("call_bridged")).total_seconds()
    pressed = (ended.at("key_pressed") - ended.at("call_bridged")).total_seconds()
    assert pressed < talk - 1
    assert has(audio.read(await lab.world.heard_by(callee.number)), tone_of("recording_stopped"))
    # whether to erase or to restrict what was recorded before the refusal is for a person to decide
    (request,) = await requests_of(service, ended)
    assert (request["right"], request["state"]) == ("refuse_recording", "received")
    # by Asterisk's clock: the journal has the moment at which it reached the call
    began, refused = (
        datetime.fromisoformat(each) for each in (_kept(ended)["started_at"], request["received_at"])
    )
    assert 2.0 < sound.seconds < (refused - began).total_seconds() + 0.5


async def test_a_refusal_ends_the_call_where_the_campaign_says_so(service: Service, lab: Lab) -> None:
    ended = await through(service, lab, callees.presses("2", 0, 15), campaign="strict")
    assert ended.verdict[0] == "recording_refused"
    assert files_of(service, lab, ended) == []


async def test_a_number_that_knows_who_calls_is_told_only_of_the_recording(
    service: Service, lab: Lab
) -> None:
    callee = callees.answers(60)
    calls = [await through(service, lab, callee, agent="drops-1") for _ in range(2)]
    first, second = [audio.read(await lab.world.heard_by(callee.number, nth)) for nth in (0, 1)]
    whole = ("identity", "recording_opt_out", "rights")
    assert [has(first, tone_of(prompt)) for prompt in whole] == [True, True, True]
    assert [has(second, tone_of(prompt)) for prompt in whole] == [False, True, False]
    # nothing else is played before the agent
    prompts = [prompt for _, prompt in playing(lab, after=calls[0].at("call_gated"))]
    assert prompts == [*whole, "recording_opt_out"]
    # and no pause is made in the place of what is spared, of which a busy machine takes up a part
    spared = 2 * (SECONDS + TAIL_MS / 1000)
    first_word, second_word = (first_second(each, callees.AGENT_TONE_HZ) for each in (first, second))
    assert first_word - second_word > spared - 0.7
    told = [
        each["fields"] for call in calls for each in call.record["events"] if each["event"] == "notice_heard"
    ]
    assert [each["prompts"] for each in told] == [",".join(whole), "recording_opt_out"]
    assert len({each["notice_version"] for each in told}) == 2


async def test_the_star_repeats_all_of_the_notice_to_a_number_that_was_spared_it(
    service: Service, lab: Lab
) -> None:
    callee = callees.presses("*", 0, 61)
    for _ in range(2):
        await through(service, lab, callee, agent="drops-1")
    heard = audio.read(await lab.world.heard_by(callee.number))
    assert [has(heard, tone_of(prompt)) for prompt in ("identity", "recording_opt_out", "rights")] == [
        True
    ] * 3


async def test_a_notice_that_was_not_heard_to_its_end_is_told_again(service: Service, lab: Lab) -> None:
    callee = callees.hangs_up(2, 62)
    for _ in range(2):
        ended = await through(service, lab, callee)
        assert ended.verdict == ("callee_hangup", "")
        assert has(audio.read(await lab.world.heard_by(callee.number)), tone_of("identity"))


@pytest.mark.parametrize(
    ("callee", "is_heard"),
    [(callees.presses("1", 0, 63), False), (callees.answers(18), True)],
    ids=["in the notice", "after the notice"],
)
async def test_who_agrees_by_key_is_recorded_on_the_basis_of_consent(
    service: Service, lab: Lab, callee: Callee, *, is_heard: bool
) -> None:
    event = "notice_heard" if is_heard else "call_bridged"
    placed, call_id = await come_to(event, service, lab, callee, campaign="survey")
    if is_heard:
        await lab.world.callee_presses(callee.number, "1")
        await service.logged("call_bridged", call_id=call_id)
    await recorded_a_while(service, lab, call_id, seconds=3.0)
    await lab.world.hang_up(placed)
    ended = await over(service, lab, placed)
    assert ended.verdict == ("bridged", "")
    order = ["notice_heard", "recording_agreed", "recording_tagged", "recording_started", "call_bridged"]
    if not is_heard:
        order[:2] = reversed(order[:2])
    assert [each for each in ended.events if each in order] == order
    heard = audio.read(await lab.world.heard_by(callee.number))
    assert first_second(heard, tone_of("recording_agreed")) < first_second(heard, callees.AGENT_TONE_HZ)
    tag = tag_of(service, ended)
    assert '"legal_basis": "consent"' in tag
    assert '"purpose": "szkolenie konsultantów"' in tag
    assert '"opt_in"' in tag
    assert "#A6-1-a" in tag
    sound = recording(service, ended)
    assert seconds_of(sound, callees.AGENT_TONE_HZ) > 2.5
    for prompt in ("recording_opt_in", "recording_agreed"):
        assert float(np.max(sound.tone_levels(tone_of(prompt)))) < ABSENT_DBFS


@pytest.mark.parametrize(
    ("callee", "reason"),
    [(callees.answers(64), "recording_not_agreed"), (callees.presses("2", 2, 65), "recording_refused")],
    ids=["no key", "refusal"],
)
async def test_who_does_not_agree_leaves_no_recording_and_talks_on(
    service: Service, lab: Lab, callee: Callee, reason: str
) -> None:
    ended = await through(service, lab, callee, campaign="survey", agent="drops-3")
    assert ended.verdict == ("bridged", reason)
    assert ended.record["recordings"] == []
    assert not {"recording_agreed", "recording_tagged", "recording_started"} & set(ended.events)
    assert files_of(service, lab, ended) == []
    heard = audio.read(await lab.world.heard_by(callee.number))
    assert has(heard, callees.AGENT_TONE_HZ)
    assert not has(heard, tone_of("recording_agreed"))


async def test_an_agreement_in_the_talk_records_what_was_said_before_it(service: Service, lab: Lab) -> None:
    """What was said before was said off the record."""
    callee = callees.answers(19)
    placed, call_id = await come_to("call_bridged", service, lab, callee, campaign="survey")
    await heard_on(lab.world, callee)
    await lab.world.callee_presses(callee.number, "1")
    await recorded_a_while(service, lab, call_id)
    await lab.world.hang_up(placed)
    ended = await over(service, lab, placed)
    assert ended.verdict == ("bridged", "")
    order = ["call_bridged", "recording_agreed", "recording_tagged", "recording_started"]
    assert [each for each in ended.events if each in order] == order
    sound = recording(service, ended)
    assert has(sound, callees.AGENT_TONE_HZ)
    assert not has(sound, tone_of("recording_agreed"))
    talk = (ended.at("call_ended") - ended.at("call_bridged")).total_seconds()
    assert sound.seconds < talk - 2


async def test_a_recording_that_the_law_demands_is_tagged_with_it(service: Service, lab: Lab) -> None:
    ended = await through(service, lab, callees.answers(67), campaign="orders", agent="drops-2")
    assert ended.verdict == ("bridged", "")
    tag = tag_of(service, ended)
    assert '"legal_basis": "legal_obligation"' in tag
    assert '"mandatory"' in tag


@pytest.mark.parametrize(
    ("callee", "talks"),
    [(callees.presses("2", 0, 68), False), (callees.answers(20), True)],
    ids=["in the notice", "in the talk"],
)
async def test_who_refuses_a_recording_that_the_law_demands_is_bid_farewell(
    service: Service, lab: Lab, callee: Callee, *, talks: bool
) -> None:
    if talks:
        placed, _ = await talking(service, lab, callee, campaign="orders")
        await lab.world.callee_presses(callee.number, "2")
        ended = await over(service, lab, placed)
    else:
        ended = await through(service, lab, callee, campaign="orders")
    assert ended.verdict == ("recording_refused", "recording_refused")
    assert ("call_bridged" in ended.events) is talks
    assert [each["state"] for each in ended.record["recordings"]] == (["stored"] if talks else [])
    assert has(audio.read(await lab.world.heard_by(callee.number)), tone_of("goodbye"))


async def test_marketing_calls_go_to_whoever_consents_as_long_as_they_do(service: Service, lab: Lab) -> None:
    callee = callees.presses("6", 1, 69)
    refused = await through(service, lab, callee, campaign="offers")
    assert refused.verdict == ("blocked", "no_consent")
    assert await lab.world.invites(callee.number) == 0

    await service.consented(callee.number)
    withdrawn = await through(service, lab, callee, campaign="offers")
    assert withdrawn.verdict == ("right_exercised", "withdraw_consent")
    (consent,) = await service.json("consents", "show", callee.number)
    assert [each["call"] for each in consent["uses"]] == [withdrawn.outcome.call]
    assert consent["state"] == "withdrawn"

    again = await through(service, lab, callee, campaign="offers")
    assert again.verdict == ("blocked", "suppressed_campaign_withdraw_consent")
    assert await lab.world.invites(callee.number) == 1


async def test_a_campaign_does_not_dial_without_the_register_it_needs(service: Service, lab: Lab) -> None:
    callee = callees.answers(70)
    ended = await through(service, lab, callee, campaign="listed")
    assert ended.verdict == ("blocked", "register_stale")
    assert await lab.world.invites(callee.number) == 0


async def test_a_callee_who_hangs_up_in_the_notice_is_neither_bridged_nor_recorded(
    service: Service, lab: Lab
) -> None:
    callee = callees.hangs_up(1, 16)
    ended = await through(service, lab, callee)
    assert ended.verdict == ("callee_hangup", "")
    # docs/pbx.md tells what the agent's telephone shows
    assert await lab.world.status(callee.number) == DECLINED
    assert not {"notice_heard", "call_bridged", "recording_tagged"} & set(ended.events)
    assert ended.record["recordings"] == []


async def test_an_agent_who_hangs_up_in_the_notice_lets_the_callee_go(service: Service, lab: Lab) -> None:
    callee = callees.answers(17)
    placed = await lab.world.dial(callee.number)
    await service.logged(
        lambda line: line["event"] == "callee_answered" and line["number"].endswith(callee.number[-4:])
    )
    await lab.world.hang_up(placed)
    outcome = await lab.pbx.outcome(placed.id)
    assert outcome.outcome == "agent_hangup"
    await service.logged("call_ended", call_id=outcome.call)
    await until(lambda: _is_gone(lab, outcome.call), within=GONE_SECONDS)
    assert "call_bridged" not in service.of_call(outcome.call)


@pytest.mark.parametrize(
    ("callee", "verdict", "cause"),
    [
        (callees.busy(20), ("busy", ""), 17),
        (callees.rejects(21), ("failed", "rejected"), 21),
        (callees.congestion(22), ("failed", "congestion"), 34),
        (callees.unallocated(23), ("failed", "unallocated"), 1),
    ],
    ids=lambda each: each.summary if isinstance(each, Callee) else "",
)
async def test_a_callee_who_does_not_answer_is_told_apart(
    service: Service, lab: Lab, callee: Callee, verdict: tuple[str, str], cause: int
) -> None:
    ended = await through(service, lab, callee)
    assert ended.verdict == verdict
    assert await ended.agent.ended() == cause
    assert ended.record["recordings"] == []


@contextlib.asynccontextmanager
async def cdrs(pbx: Pbx) -> AsyncIterator[Path]:
    """Meanwhile, Asterisk writes each call into this file."""
    settings = pbx.home / "etc/cdr.conf"
    before, folder = settings.read_text(), pbx.home / "log/cdr-csv"
    folder.mkdir(exist_ok=True)
    settings.write_text("[general]\nenable = yes\nunanswered = yes\n[csv]\nusegmtime = yes\n")
    for command in ("module reload cdr", "module load cdr_csv.so"):
        await pbx.cli(command)
    try:
        yield folder / "Master.csv"
    finally:
        settings.write_text(before)
        for command in ("module unload cdr_csv.so", "module reload cdr"):
            await pbx.cli(command)


async def test_a_cdr_has_the_outcome_for_the_number_or_counts_a_talk_twice(
    service: Service, lab: Lab
) -> None:
    talks, busy = callees.hangs_up(1, 29), callees.busy(29)

    def dialled(file: Path) -> list[str]:
        rows = csv.reader(file.read_text().splitlines()) if file.exists() else ()
        return [number for _, _, number, _, _, channel, *_ in rows if channel.startswith("PJSIP/agents")]

    async with cdrs(lab.pbx) as file:
        for each in (talks, busy):
            await through(service, lab, each, campaign="brief")
        # the last record is written after the others
        await until(lambda: busy.number in dialled(file) or len(dialled(file)) > 2, within=GONE_SECONDS)
        assert dialled(file) == [talks.number, busy.number]


async def test_an_agent_hears_ringing_until_they_give_up(service: Service, lab: Lab) -> None:
    callee = callees.no_answer(24)
    placed = await lab.world.dial(callee.number)
    await service.logged(
        lambda line: line["event"] == "callee_rang" and line["number"].endswith(callee.number[-4:])
    )
    await until(lambda: placed.rang_at is not None, within=GONE_SECONDS)
    await lab.world.hang_up(placed)
    outcome = await lab.pbx.outcome(placed.id)
    assert outcome.outcome == "agent_hangup"
    await until(lambda: _is_gone(lab, outcome.call), within=GONE_SECONDS)


async def test_a_redirection_is_not_followed_past_the_gate(service: Service, lab: Lab) -> None:
    callee = callees.redirects(25)
    ended = await through(service, lab, callee)
    assert ended.verdict == ("failed", "redirected")
    assert await lab.world.invites(callee.number) == 1
    assert await lab.world.invites(callees.answers(25).number) == 0


@pytest.mark.parametrize(
    ("dialled", "campaign", "reason"),
    [
        ("+48600100026", "nosuch", "unknown_campaign"),
        ("+4860010", "renewals", "number_invalid"),
        ("+48600100026&PJSIP", "renewals", "number_characters"),
        ("+48600100026@trunk", "renewals", "number_characters"),
        ("+48600100026/n", "renewals", "number_characters"),
        ("+48600100026;x=1", "renewals", "number_characters"),
        ("+48700123456", "renewals", "number_premium"),
    ],
    ids=["unknown campaign", "short", "ampersand", "at", "slash", "semicolon", "premium"],
)
async def test_what_may_not_be_dialled_is_refused_with_its_reason(
    service: Service, lab: Lab, dialled: str, campaign: str, reason: str
) -> None:
    before = await lab.world.invites("+48600100026")
    placed = await lab.world.dial(dialled, campaign=campaign)
    await placed.ended()
    outcome = await lab.pbx.outcome(placed.id)
    assert (outcome.outcome, outcome.reason) == ("blocked", reason)
    assert await lab.world.invites("+48600100026") == before == 0


async def test_a_comma_cannot_smuggle_an_argument(service: Service, lab: Lab) -> None:
    arguments = "ccari,outbound,+48600100026,renewals,x,y"
    await lab.pbx.cli(f"channel originate Local/s@lab-waiting application Stasis {arguments}")
    line = await service.logged(lambda line: line.get("reason") == "bad_arguments")
    await service.logged("call_ended", call_id=line["call_id"])
    assert await lab.world.invites("+48600100026") == 0


async def test_the_callee_sees_the_number_of_the_campaign(service: Service, lab: Lab) -> None:
    callee = callees.busy(27)
    await through(service, lab, callee)
    assert re.search(r"From: .*sip:\+?48221234567@", await lab.world.invite(callee.number))


async def test_who_calls_without_a_caller_id_is_shown(service: Service, lab: Lab) -> None:
    """As docs/policy.md and ``ccari policy check`` say: the laboratory's trunk has no from_user."""
    callee = callees.busy(28)
    await through(service, lab, callee, campaign="strict")
    assert re.search(r'From: "Anonymous" <sip:anonymous@', await lab.world.invite(callee.number))


async def test_a_callee_is_rung_whose_notice_cannot_be_played(
    service: Service, lab: Lab, sounds: Path
) -> None:
    """The file disappears after the service has checked it, and is back for the next call."""
    missing = sounds / "pl/strict/recording_opt_out_or_end.sln12"
    await through(service, lab, callees.answers(28), campaign="strict", agent="drops-1")
    callee = callees.answers(29)
    kept = missing.read_bytes()
    missing.unlink()
    try:
        ended = await through(service, lab, callee, campaign="strict")
    finally:
        missing.write_bytes(kept)
    assert ended.verdict == ("blocked", "prompts_missing")
    assert await lab.world.invites(callee.number) == 0
    again = await through(service, lab, callee, campaign="strict", agent="drops-1")
    assert again.verdict == ("bridged", "")


async def test_many_calls_at_once_keep_apart(service: Service, lab: Lab) -> None:
    placed = [callees.answers(serial) for serial in range(40, 48)]
    refusing = [callees.presses("2", 1, serial) for serial in range(40, 44)]
    ended = await asyncio.gather(
        *(through(service, lab, each, agent="drops-3") for each in [*placed, *refusing])
    )
    assert [each.verdict for each in ended] == [("bridged", "")] * 8 + [("bridged", "recording_refused")] * 4
    assert all(len(files_of(service, lab, each)) == 2 for each in ended[:8])
    assert all(files_of(service, lab, each) == [] for each in ended[8:])


async def test_no_log_line_holds_a_whole_number(service: Service, lab: Lab) -> None:
    """Runs last: it reads the service's log of all the calls above."""
    # the digits of a UUID or a SHA-256 look like a number about once in a hundred thousand
    named = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{64}\b")
    written = named.sub("", service.log.read_text() + service.errors.read_text())
    assert written.count("call_ended") > 20
    assert re.findall(r"(?<![\d.:-])\+?(?:48)?60[0-2]\d{6}(?!\d)", written) == []


async def requests_of(service: Service, ended: Ended) -> Sequence[dict[str, Any]]:
    listed = await service.json("requests", "list", "--limit", "1000")
    return [each for each in listed if each["call_id"] == ended.outcome.call]


async def registered_at(service: Service, ended: Ended) -> datetime:
    (request,) = await requests_of(service, ended)
    return datetime.fromisoformat(request["registered_at"])


def playing(lab: Lab, *, after: datetime) -> list[tuple[datetime, str]]:
    """When Asterisk began to play which prompt, according to its own log, which has the times of its machine's zone."""
    found = re.findall(
        r"^\[([^\]]+)\] VERBOSE.* Playing '(?:\S*/)?([^/\s]+)\.", lab.pbx.log.read_text(), re.MULTILINE
    )
    zone = ZoneInfo(lab.pbx.time_zone or "UTC")
    times = [(datetime.fromisoformat(at).replace(tzinfo=zone), prompt) for at, prompt in found]
    return [(at, prompt) for at, prompt in times if at >= after]


async def test_a_channel_that_the_dialplan_hands_over_again_waits_in_silence(
    lab: Lab, service: Service
) -> None:
    """The channel comes back within a millisecond, while the first call's rows are still being closed."""
    callee = callees.busy(77)
    placed = await lab.world.dial(callee.number, context="lab-redial", agent="talks")
    await placed.ended()
    outcome = await lab.pbx.outcome(placed.id)
    assert outcome.outcome == "busy"
    assert await lab.world.invites(callee.number) == 2
    assert (await service.ended(outcome.call))["outcome"] == "busy"


@pytest.mark.parametrize("rest", ["&PJSIP", "(1)", "a"], ids=["fork", "brackets", "letter"])
async def test_what_is_no_digit_is_handed_over_with_the_number(lab: Lab, service: Service, rest: str) -> None:
    """A comma would end the number and begin the campaign; the laboratory's own dialplan lets none through."""
    callee = callees.answers(78)
    placed = await lab.world.dial(callee.number + rest, agent="talks")
    await placed.ended()
    outcome = await lab.pbx.outcome(placed.id)
    assert (outcome.outcome, outcome.reason, outcome.call) == ("blocked", "number_characters", "")
    assert await lab.world.invites(callee.number) == 0


async def test_an_agent_waits_for_ever_for_a_service_that_hangs(lab: Lab, service: Service) -> None:
    callee = callees.answers(79)
    async with hung() as address:
        await lab.pbx.cli(f"dialplan set global CCARI_AGI {address}")
        await lab.pbx.cli("dialplan set global CCARI_ASK_ALIVE yes")
        try:
            placed = await lab.world.dial(callee.number, agent="talks")
            await placed.ended(within=BOUND_SECONDS)
        finally:
            await lab.pbx.cli("dialplan set global CCARI_ASK_ALIVE no")
            await lab.pbx.cli(f"dialplan set global CCARI_AGI {service.environment['CCARI_AGI__LISTEN']}")
    outcome = await lab.pbx.outcome(placed.id)
    assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
    assert await lab.world.invites(callee.number) == 0
