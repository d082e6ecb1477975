"""Plays a scenario and checks the result: at the far end, in the rows, and in what is left behind."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import numpy as np

from ccari.policy.call import Direction
from tests.integration.service import Service
from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, Lab, audio, callees
from tests.lab.audio import PRESENT_DBFS, Audio
from tests.lab.waiting import until
from tests.scenarios.scenario import Expected, Scenario

#: How far below a tone everything except the two voices is: digits read out hold a little of many tones.
CLEAR_DB = 6.0
VOICES = (callees.TONE_HZ, callees.AGENT_TONE_HZ)
#: The length of a recording's end that must hold both voices: longer than a key is pressed.
LAST_SECONDS = 1.0
END_SECONDS = 90.0
GONE_SECONDS = 30.0
#: Prompts of the notice, which no recording may hold.
NOTICE = ("identity", "recording_opt_out", "rights", "source")


@dataclass(frozen=True)
class Stage:
    """Where scenarios are played. ``token``: a dialler's, for calls over HTTP."""

    lab: Lab
    service: Service
    token: str


@dataclass(frozen=True)
class Seen:
    """The result of a call. ``told``: what the dialplan was told, if the call went through one."""

    scenario: Scenario
    number: str
    record: dict[str, Any]
    rights: dict[str, str]
    told: tuple[str, str] | None
    invites: int
    others: int
    heard: Audio | None
    agent_heard: Audio | None
    colleague_heard: Audio | None
    recordings: list[tuple[str, Audio | None]]
    left_behind: list[str]
    next: str | None
    holds: int
    #: Whether the agent's phone was told a number that the caller withholds.
    disclosed: bool

    @property
    def events(self) -> list[str]:
        return [each["event"] for each in self.record["events"]]


async def play(scenario: Scenario, callee: Callee, serial: int, stage: Stage) -> Seen:
    """Play it with this callee; ``serial`` tells its phone from those of other scenarios."""
    await _prepare(scenario, callee.number, stage.service)
    agent = f"{scenario.agent}-s{serial}"
    placed: AgentCall | None = None
    told: tuple[str, str] | None = None
    match scenario.direction:
        case Direction.OUTBOUND:
            placed = await stage.lab.world.dial(
                callee.number, campaign=scenario.campaign, agent=scenario.agent
            )
            if scenario.agent_leaves_at:
                await _logged(scenario.agent_leaves_at, scenario.campaign, callee.number, stage.service)
                await stage.lab.world.hang_up(placed)
            call, told = await _through_dialplan(placed, stage)
        case Direction.INBOUND:
            placed = await stage.lab.world.call_in(
                callee.number,
                scenario.campaign,
                destination=agent,
                withheld=scenario.withheld,
                asserted=scenario.asserted,
                greeted=scenario.greeted,
            )
            call, told = await _through_dialplan(placed, stage)
        case first:
            rung = agent if first is Direction.AGENT_FIRST else None
            call = await _over_http(stage, callee.number, scenario.campaign, rung)
    record = await _ended(call, stage)
    heard = await _heard(stage.lab, callee.number)
    agent_heard = await _heard_by_agent(stage.lab, placed, agent, scenario.direction)
    invites = await stage.lab.world.invites(callee.number)
    others = sum([await stage.lab.world.invites(each) for each in scenario.expect.uninvited])
    gate = await _gate(stage, callee.number, scenario) if scenario.expect.next else None
    # other scenarios are playing, and must not wait while these are decrypted and decoded
    kept = await asyncio.to_thread(_recordings, record, stage)
    return Seen(
        scenario,
        callee.number,
        record,
        await _rights(call, stage),
        told,
        invites,
        others,
        heard,
        agent_heard,
        await _heard_by_called(stage.lab, scenario.colleague) if scenario.colleague else None,
        kept,
        _left_behind(record, stage),
        gate,
        await stage.lab.world.holds(callee.number),
        scenario.withheld and callee.digits in await stage.lab.world.invite(agent),
    )


async def _prepare(scenario: Scenario, number: str, service: Service) -> None:
    if scenario.suppressed:
        await service.succeeds(
            "suppress", "add", number, "--controller", "acme", "--reason", scenario.suppressed
        )
    if scenario.consented:
        await service.consented(number)
    if scenario.source:
        file = service.log.with_name(f"{scenario.name}.csv")
        file.write_text(
            f"number,source,obtained,basis,proof\n{number},{scenario.source},2026-01-02,contract,umowa\n"
        )
        await service.succeeds("contacts", "import", str(file))


async def _logged(event: str, campaign: str, number: str, service: Service) -> None:
    """Wait for an event of the call to that number; a log line shows only the number's last digits."""

    def wanted(line: dict[str, Any]) -> bool:
        return (
            line["event"] == event
            and line.get("campaign") == campaign
            and str(line.get("number")).endswith(number[-4:])
        )

    await service.logged(wanted)


async def _through_dialplan(placed: AgentCall, stage: Stage) -> tuple[str, tuple[str, str]]:
    await placed.ended(within=END_SECONDS)
    outcome = await stage.lab.pbx.outcome(placed.id)
    return outcome.call, (outcome.outcome, outcome.reason)


async def _over_http(stage: Stage, number: str, campaign: str, agent: str | None) -> str:
    order = {"number": number, "campaign": campaign, **({"agent": agent} if agent else {})}
    url = f"http://{stage.service.environment['CCARI_HTTP__LISTEN']}/v1/calls"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {stage.token}"}) as session,
        session.post(url, json=order) as reply,
    ):
        answer = await reply.json()
    return str(answer["id"] if reply.status == 201 else answer["call"])


async def _ended(call: str, stage: Stage) -> dict[str, Any]:
    """The call's record, once its row is closed and nothing of it is left in Asterisk."""

    async def gone() -> bool:
        left = await stage.lab.pbx.cli("core show channels concise") + await stage.lab.pbx.cli(
            "bridge show all"
        )
        return call not in left

    record = await stage.service.ended(call, within=END_SECONDS)
    await until(gone, within=GONE_SECONDS)
    return record


async def _rights(call: str, stage: Stage) -> dict[str, str]:
    """The rights registered in the call, and how each came in."""
    assert stage.service.store is not None
    async with stage.service.store.database.connection() as connection:
        rows = await connection.fetch(
            'SELECT "right", channel FROM rights_requests WHERE call_id = $1', UUID(call)
        )
    return {row["right"]: row["channel"] for row in rows}


async def _heard(lab: Lab, number: str) -> Audio | None:
    if not any(lab.world.heard.glob(f"{number.removeprefix('+')}-*.wav")):
        return None
    return audio.read(await lab.world.heard_by(number))


async def _heard_by_agent(
    lab: Lab, placed: AgentCall | None, agent: str, direction: Direction
) -> Audio | None:
    if direction is Direction.OUTBOUND:
        assert placed is not None
        # an agent who hangs up as they are answered hears nothing, and no file is begun
        begun = any(lab.world.heard.glob(f"agent-{placed.id}*.wav"))
        return audio.read(await lab.world.heard_by_agent(placed)) if placed.answered_at and begun else None
    return await _heard_by_called(lab, agent)


async def _heard_by_called(lab: Lab, agent: str) -> Audio | None:
    if not any(lab.world.heard.glob(f"called-{agent}-*.wav")):
        return None
    return audio.read(await lab.world.heard_by_called(agent))


async def _gate(stage: Stage, number: str, scenario: Scenario) -> str:
    done = await stage.service.ccari("gate", number, "--campaign", scenario.campaign, "--json")
    return str(json.loads(done.out)["reason"] or "allowed")


def _recordings(record: dict[str, Any], stage: Stage) -> list[tuple[str, Audio | None]]:
    kept = sorted(record["recordings"], key=lambda each: str(each["started_at"]))
    return [
        (each["state"], stage.service.recorded(each) if each["state"] == "stored" else None) for each in kept
    ]


def _left_behind(record: dict[str, Any], stage: Stage) -> list[str]:
    """Raw files in the spool, and files of recordings that were not to be kept."""
    names = {each["id"] for each in record["recordings"]}
    unkept = {each["id"] for each in record["recordings"] if each["state"] != "stored"}
    raw = [path.name for path in stage.lab.pbx.spool.rglob("*") if path.stem in names]
    return raw + [
        path.name for path in stage.service.recordings.rglob("*") if path.name.partition(".")[0] in unkept
    ]


def faults(seen: Seen) -> list[str]:
    """Every deviation from the scenario, in words."""
    expect = seen.scenario.expect
    found = list(_in_the_record(seen, expect))
    found += _in_the_ears(seen, expect)
    found += _in_the_recordings(seen, expect)
    return found


def _in_the_record(seen: Seen, expect: Expected) -> list[str]:
    verdict = (seen.record["outcome"], seen.record["reason"])
    found = [
        _unlike("the outcome", verdict, (expect.outcome, expect.reason)),
        _unlike("INVITEs for the number", seen.invites, expect.invites),
        _unlike("INVITEs for others", seen.others, 0),
        _unlike("holds", seen.holds, expect.holds),
        _unlike("the rights", seen.rights, expect.rights),
        _unlike("the events", [each for each in seen.events if each in expect.events], list(expect.events)),
        _unlike("events that must not be", sorted({*seen.events} & {*expect.never}), []),
        _unlike("the journal's fault", seen.record["fault"], None),
        _unlike("what is left behind", seen.left_behind, []),
        _unlike("that the agent sees a number that is withheld", seen.disclosed, False),
        _unlike("the gate afterwards", seen.next, expect.next),
    ]
    if seen.told is not None:
        told = ("bridged", expect.told) if expect.told else verdict
        found.append(_unlike("what the dialplan was told", seen.told, told))
    return [each for each in found if each]


def _in_the_ears(seen: Seen, expect: Expected) -> list[str]:
    found = []
    starts = [first_second(seen.heard, tone_of(prompt)) for prompt in expect.heard]
    if None in starts:
        found.append(f"the callee did not hear {expect.heard[starts.index(None)]}")
    elif starts != sorted(start for start in starts if start is not None):
        found.append(f"the callee heard {expect.heard} in another order: {starts}")
    if expect.ringing and not has(seen.heard, callees.RINGING_HZ):
        found.append("the callee waited in silence")
    found += [f"the callee heard {prompt}" for prompt in expect.unheard if has(seen.heard, tone_of(prompt))]
    found += [
        f"the agent did not hear {prompt}"
        for prompt in expect.agent_heard
        if not has(seen.agent_heard, tone_of(prompt))
    ]
    found += [
        f"the callee heard {prompt}, which was for the agent"
        for prompt in expect.agent_heard
        if has(seen.heard, tone_of(prompt))
    ]
    found += [
        f"the colleague did not hear {prompt}"
        for prompt in expect.colleague_heard
        if not has(seen.colleague_heard, tone_of(prompt))
    ]
    found += [
        f"the colleague heard {prompt}"
        for prompt in expect.colleague_unheard
        if has(seen.colleague_heard, tone_of(prompt))
    ]
    if seen.scenario.colleague and expect.talk is not has(seen.colleague_heard, callees.TONE_HZ):
        found.append("the colleague did not hear the callee, or should not have")
    talked = has(seen.heard, callees.AGENT_TONE_HZ)
    if talked is not expect.talk:
        found.append(f"the callee {'heard' if talked else 'did not hear'} the agent")
    return found


def _in_the_recordings(seen: Seen, expect: Expected) -> list[str]:
    states = [state for state, _ in seen.recordings]
    if states != list(expect.recordings):
        return [f"the recordings are {states}, not {list(expect.recordings)}"]
    kept = [sound for _, sound in seen.recordings if sound is not None]
    ends = [each.between(max(0.0, each.seconds - LAST_SECONDS)) for each in kept]
    voices = zip(("callee", "agent"), VOICES, strict=True)
    silent = [who for who, hz in voices if not all(has(end, hz) for end in ends)]
    unlike = _unlike("who is not in a recording to its end", sorted(silent), sorted(expect.silent))
    found = [unlike] if unlike else []
    return found + [
        f"a recording holds {each}" for each in NOTICE for sound in kept if has(sound, tone_of(each))
    ]


def _unlike(what: str, found: object, wanted: object) -> str | None:
    return None if found == wanted else f"{what}: {found}, not {wanted}"


def has(sound: Audio | None, hz: float) -> bool:
    return first_second(sound, hz) is not None


def first_second(sound: Audio | None, hz: float) -> float | None:
    """When a tone begins, in seconds; None unless it lasts two windows."""
    if sound is None or not sound.windows():
        return None
    levels = sound.tone_levels(hz)
    there = (levels > PRESENT_DBFS) & (sound.other_levels([*{hz, *VOICES}]) < levels - CLEAR_DB)
    if np.count_nonzero(there) < 2:
        return None
    return float(np.argmax(there)) * audio.WINDOW_SECONDS
