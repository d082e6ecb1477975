"""PostgreSQL hangs, dies or comes back while a callee presses a key: exactly one request results, and nobody is called
before it.
"""

import signal
from datetime import datetime
from typing import Any

import pytest

from tests.faults.postgres import OwnPostgres
from tests.faults.world import heard
from tests.integration.ground import Ground
from tests.integration.relay import relay
from tests.integration.service import START_SECONDS, Service
from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, Outcome, callees
from tests.lab.audio import has, lacks

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLAYED_SECONDS = 45.0
#: How long after the press a recording may end: the error of the logged times.
KEPT_AFTER_SECONDS = 0.7


def at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()


async def dial(ground: Ground, callee: Callee) -> AgentCall:
    return await ground.lab.world.dial(callee.number, campaign="renewals", agent="talks")


def of(callee: Callee, event: str) -> Any:
    return lambda line: line["event"] == event and str(line.get("number", "")).endswith(callee.number[-4:])


async def talks(ground: Ground, service: Service, callee: Callee) -> AgentCall:
    placed = await dial(ground, callee)
    bridged = await service.logged(of(callee, "call_bridged"))
    await ground.on_record(service, bridged["call_id"], "call_bridged")
    return placed


async def spooled(service: Service, callee: Callee) -> None:
    """Wait until the key was pressed and the right is on the disk."""
    await service.logged(of(callee, "key_pressed"))
    await service.logged(of(callee, "right_spooled"))


async def registered(service: Service, callee: Callee) -> dict[str, Any]:
    """The callee's one request, once it is registered, with its call."""
    line = await service.logged(of(callee, "right_registered"), within=REPLAYED_SECONDS)
    found: list[dict[str, Any]] = [
        each for each in await service.json("requests", "list") if each["call_id"] == line["call_id"]
    ]
    (row,) = found
    assert (row["reference"], row["right"], row["key"]) == (line["reference"], "erasure", "7")
    shown: dict[str, Any] = await service.json("calls", "show", line["call_id"])
    pressed = [each["at"] for each in shown["events"] if each["event"] == "key_pressed"]
    assert len(pressed) == 1
    assert [each["event"] for each in shown["events"]].count("right_registered") == 1
    assert shown["fault"] is None
    (bar,) = (await service.json("requests", "show", row["reference"]))["suppressions"]
    assert (bar["reason"], bar["proof"]) == ("erasure", row["reference"])
    assert await service.json("requests", "spooled") == []
    return row


async def refused(ground: Ground, callee: Callee) -> Outcome:
    """The outcome that the dialplan is given for another call to the number, for which no INVITE was sent."""
    before = await ground.lab.world.invites(callee.number)
    placed = await dial(ground, callee)
    await placed.ended()
    assert await ground.lab.world.invites(callee.number) == before
    return await ground.lab.pbx.outcome(placed.id)


async def test_invariant_5_a_right_pressed_while_postgresql_hangs_is_lost_or_doubled_or_nobody_confirms_it(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 10: the whole server is stopped when the key is pressed."""
    callee = callees.answers(1)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, url=postgres.dsn) as service,
    ):
        placed = await talks(ground, service, callee)
        with postgres.stopped():
            await ground.lab.world.callee_presses(callee.number, "7")
            await spooled(service, callee)
            told = await service.json("requests", "spooled")
            assert [(each["state"], each["right"]) for each in told] == [("waiting", "erasure")]
            await placed.ended()
            assert (await refused(ground, callee)).outcome == "unavailable"
        outcome = await ground.lab.pbx.outcome(placed.id)
        assert (outcome.outcome, outcome.reason) == ("right_exercised", "erasure")
        row = await registered(service, callee)
        assert row["call_id"] == outcome.call
        assert (await refused(ground, callee)).reason == "suppressed_erasure"
        await ground.nothing_left()
    said = await heard(ground.lab, callee)
    assert has(said, tone_of("right_registered_erasure"))
    assert not any("reference_is" in str(each) for each in between.requests)
    assert lacks(said, tone_of("right_failed"))


async def test_invariant_5_a_right_is_lost_with_a_postgresql_that_is_killed_at_the_press(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 10: killed. It dies during the first attempt: nobody knows what became of it."""
    callee = callees.answers(2)
    async with ground.running(url=postgres.dsn) as service:
        placed = await talks(ground, service, callee)
        with postgres.stopped():
            await ground.lab.world.callee_presses(callee.number, "7")
            await service.logged(of(callee, "key_pressed"))
            await postgres.kill()
        await service.logged(of(callee, "right_spooled"))
        # the confirmation does not wait for it to come back
        await placed.ended()
        said = await heard(ground.lab, callee)
        assert has(said, tone_of("right_registered_erasure"))
        assert lacks(said, tone_of("right_failed"))
        await postgres.start()
        await registered(service, callee)
        await service.logged("lock_regained", within=START_SECONDS)
        assert service.count("asterisk_connected") == 1
        assert (await refused(ground, callee)).reason == "suppressed_erasure"
        await ground.nothing_left()


async def test_invariant_5_a_service_that_is_killed_takes_along_what_waits_or_calls_before_it_is_registered(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 10: and the service dies with it."""
    callee = callees.answers(3)
    async with ground.running(url=postgres.dsn) as service:
        placed = await talks(ground, service, callee)
        with postgres.stopped():
            await ground.lab.world.callee_presses(callee.number, "7")
            await spooled(service, callee)
            await service.stop(signal.SIGKILL)
    async with ground.running(url=postgres.dsn) as service:
        await registered(service, callee)
        events = [line["event"] for line in service.lines()]
        assert events.index("right_registered") < events.index("asterisk_connected")
        await ground.lab.world.hang_up(placed)
        assert (await refused(ground, callee)).reason == "suppressed_erasure"
        await ground.nothing_left()


async def test_invariant_6_what_is_said_after_a_refusal_is_kept_because_another_right_is_being_registered(
    ground: Ground, postgres: OwnPostgres
) -> None:
    """Case 10: the refusal must wait its turn, a second after a right that the database does not accept."""
    callee = callees.presses_then("8", 9, "2", 1, 4)
    async with ground.running(url=postgres.dsn) as service:
        placed = await dial(ground, callee)
        started = await service.logged(of(callee, "recording_started"))
        await service.logged(of(callee, "call_bridged"))
        with postgres.stopped():
            first = await service.logged(of(callee, "key_pressed"))
            kept = of(callee, "right_spooled")
            await service.logged(lambda line: kept(line) and line["right"] == "refuse_recording")
        await ground.lab.world.hang_up(placed)
        stored = await service.logged(of(callee, "recording_stored"))
        turn = next(
            line for line in service.lines() if of(callee, "key_pressed")(line) and line["key"] == "2"
        )
        pressed = at(first) + 1.0
        assert at(turn) - pressed > KEPT_AFTER_SECONDS
        assert at(started) + int(stored["duration_ms"]) / 1000 - pressed < KEPT_AFTER_SECONDS
        await ground.nothing_left()
