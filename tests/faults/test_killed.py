"""ccari is killed at an exact step of a call, and another one is started: what the far end has seen, and what is left."""

import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from ccari.store.database import SCHEMA
from tests.faults.moments import Moment, event, reply, request
from tests.faults.world import assert_never_brought_together, heard
from tests.integration.ground import Ground, kept_later
from tests.integration.relay import Message, Relay, relay
from tests.integration.service import Service
from tests.integration.studio import tone_of
from tests.lab import AgentCall, Callee, callees
from tests.lab.audio import lacks
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The watchdog's time-out: long enough for an answer, and for the test to see that nobody drives the call.
WATCHDOG_SECONDS = 12
ENDED_SECONDS = 45.0


async def killed_at(
    ground: Ground, between: Relay, step: Callable[[Message], bool], callee: Callee
) -> tuple[AgentCall, str]:
    """A call that the gate allowed, and its id; the service was killed when this message was about to pass."""
    async with ground.running(ari=between.url) as service:
        moment = Moment(between, step)
        placed = await ground.dial(callee)
        await moment.kill(service)
        return placed, str((await service.logged("call_gated"))["call_id"])


async def cleared(ground: Ground, service: Service, placed: AgentCall, call_id: str) -> dict[str, Any]:
    """Wait until the next service has cleared up a call that nobody drove: the agent is free, nothing is left, and it
    is closed.
    """
    outcome = await ground.lab.pbx.outcome(placed.id, within=ENDED_SECONDS)
    assert (outcome.outcome, outcome.call) == ("unavailable", call_id)
    await ground.nothing_left()
    shown: dict[str, Any] = await service.json("calls", "show", call_id)
    assert (shown["outcome"], shown["fault"], shown["ended_at"] is not None) == ("failed", None, True)
    return shown


async def test_invariant_1_a_call_that_died_at_the_gate_is_dialled_by_the_next_service(
    ground: Ground,
) -> None:
    """Case 1: killed after the gate's commit, before the channel is created. A new call needs a new verdict."""
    callee = callees.answers(1)
    async with relay(ground.lab.pbx.ari_url) as between:
        placed, call_id = await killed_at(ground, between, request("channels/create"), callee)
        assert await ground.lab.world.invites(callee.number) == 0
        async with ground.running(ari=between.url) as service:
            shown = await cleared(ground, service, placed, call_id)
            assert (shown["dialled_at"], shown["recordings"]) == (None, [])
            await service.succeeds("suppress", "add", callee.number, "--reason", "do_not_call")
            outcome, again = await ground.ended(service, await ground.dial(callee))
            assert (outcome.outcome, outcome.reason) == ("blocked", "suppressed_do_not_call")
            assert again["id"] != call_id
        assert await ground.lab.world.invites(callee.number) == 0


async def test_invariant_1_a_channel_that_was_made_is_dialled_or_left_behind(ground: Ground) -> None:
    """Case 2: killed between create and dial. The token is spent: a new attempt needs another."""
    callee = callees.answers(2)
    async with relay(ground.lab.pbx.ari_url) as between:
        placed, call_id = await killed_at(ground, between, request("/dial"), callee)
        channels = await ground.lab.pbx.cli("core show channels concise")
        assert "!Down!" in channels, channels
        async with ground.running(ari=between.url) as service:
            shown = await cleared(ground, service, placed, call_id)
            assert (shown["dialled_at"] is not None, shown["recordings"]) == (True, [])
            assert await ground.lab.world.invites(callee.number) == 0
            outcome, _ = await ground.ended(service, await ground.dial(callee, agent="drops-1"))
            assert outcome.outcome == "bridged"
        assert await ground.lab.world.invites(callee.number) == 1


async def test_invariant_3_a_callee_who_answers_nobody_is_connected_recorded_or_held_for_ever(
    ground: Ground,
) -> None:
    """Case 3: killed while it rings; the callee answers, and no service comes back: Asterisk itself ends the leg."""
    callee = callees.answers_late(5, 3)
    allowed: list[str] = []

    async def hurry(message: Message) -> list[Message]:
        given = {each["name"]: each["value"] for each in message["query_strings"]}
        if given.get("variable") != "TIMEOUT(absolute)":
            return [message]
        allowed.append(given["value"])
        given["value"] = str(WATCHDOG_SECONDS)
        return [
            {**message, "query_strings": [{"name": each, "value": value} for each, value in given.items()]}
        ]

    async with relay(ground.lab.pbx.ari_url) as between:
        async with ground.running(ari=between.url) as service:
            between.on_request = hurry
            placed = await ground.dial(callee)
            rang = await service.logged("callee_rang")
            await service.stop(signal.SIGKILL)
        assert allowed == [str(4 * 60 * 60)]
        # nothing else hangs up this callee's leg
        sound = await _heard_to_the_end(ground, callee)
        assert 0 < sound.seconds < WATCHDOG_SECONDS
        for hz in (callees.AGENT_TONE_HZ, tone_of("recording_opt_out")):
            assert lacks(sound, hz)
        assert placed.answered_at is None
        async with ground.running(ari=between.url) as service:
            shown = await cleared(ground, service, placed, rang["call_id"])
            assert (shown["heard_at"], shown["recordings"]) == (None, [])
        assert await ground.lab.world.invites(callee.number) == 1


async def _heard_to_the_end(ground: Ground, callee: Callee) -> Any:
    digits = callee.digits
    await until(
        lambda: any(each.stat().st_size > 44 for each in ground.lab.world.heard.glob(f"{digits}-*.wav")),
        within=ENDED_SECONDS,
    )

    async def over() -> bool:
        return digits not in await ground.lab.world.cli("core show channels concise")

    await until(over, within=ENDED_SECONDS)
    return await heard(ground.lab, callee)


async def test_invariant_3_a_callee_whose_notice_broke_off_is_connected(ground: Ground) -> None:
    """Case 4: killed while the notice is played."""
    callee = callees.answers(4)
    async with relay(ground.lab.pbx.ari_url) as between:
        placed, call_id = await killed_at(ground, between, event("PlaybackStarted"), callee)
        async with ground.running(ari=between.url) as service:
            shown = await cleared(ground, service, placed, call_id)
            assert (shown["heard_at"], shown["recordings"]) == (None, [])
            await assert_never_brought_together(ground.lab, callee, placed)
        assert list(ground.lab.pbx.spool.iterdir()) == []


async def test_an_agent_who_is_played_to_is_told_over_the_connection_of_all_calls(ground: Ground) -> None:
    """Killed while the agent hears that the number is barred. Over that connection, Asterisk would answer no request
    until the prompt is over.
    """
    callee = callees.answers(5)
    async with relay(ground.lab.pbx.ari_url) as between:
        async with ground.running(ari=between.url) as service:
            await service.succeeds("suppress", "add", callee.number, "--reason", "do_not_call")
            moment = Moment(between, event("PlaybackStarted"))
            placed = await ground.dial(callee)
            await moment.kill(service)
        before = len(between.requests)
        async with ground.running(ari=between.url):
            outcome = await ground.lab.pbx.outcome(placed.id, within=ENDED_SECONDS)
            assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
            await ground.nothing_left()
        asked = between.kinds(before)
    assert [each for each in asked if each.startswith("POST") and each.endswith("/continue")]
    # a variable of the channel, not that of Asterisk which says who drives it
    assert [each for each in asked if each.startswith("POST channels") and each.endswith("/variable")] == []


def is_the_end_of_the_notice(message: Message) -> bool:
    """Its last prompt, in the campaign with the longest notice."""
    return message["type"] == "PlaybackFinished" and "/rights" in str(message["playback"])


async def test_invariant_3_a_notice_whose_hearing_is_not_on_record_connects_or_records(
    ground: Ground,
) -> None:
    """Case 4: killed when Asterisk has reported the end of the notice, and before the proof that it was heard is
    committed.

    The callee does not want to be recorded, so no tag has to be written before the two could be bridged.
    """
    callee = callees.presses("2", 0, 5)
    async with relay(ground.lab.pbx.ari_url) as between, connected(ground) as connection:
        async with ground.running(ari=between.url) as service:
            moment = Moment(between, is_the_end_of_the_notice)
            placed = await ground.lab.world.dial(callee.number, campaign="renewals")
            refused = await service.logged("right_registered")
            call_id = refused["call_id"]
            await moment.reached()
            async with connection.transaction():
                assert await connection.fetchval(
                    "SELECT id FROM calls WHERE id = $1 FOR UPDATE", UUID(call_id)
                )
                moment.go_on()
                # logged at once, and committed when the row lock is released
                await service.logged("notice_heard")
                # long enough for a service that does not wait for the commit
                assert "ccari-" not in await ground.lab.pbx.cli("bridge show all")
                assert placed.answered_at is None
                await service.stop(signal.SIGKILL)
                # nor is it committed later: the server still holds the statement, and would run it once the row lock is released
                await connection.fetch(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
        async with ground.running(ari=between.url) as service:
            shown = await cleared(ground, service, placed, call_id)
            assert (shown["heard_at"], shown["recordings"]) == (None, [])
            assert "notice_heard" not in [each["event"] for each in shown["events"]]
            await assert_never_brought_together(ground.lab, callee, placed)
    assert list(ground.lab.pbx.spool.iterdir()) == []


@contextlib.asynccontextmanager
async def connected(ground: Ground) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(ground.url, server_settings={"search_path": SCHEMA})
    try:
        yield opened
    finally:
        await opened.close()


async def test_invariant_4_a_recorder_whose_service_died_as_it_began_records_on_or_leaves_a_file_without_a_tag(
    ground: Ground,
) -> None:
    """Case 5: killed between the request to record and its reply. Asterisk records; that it was to record is in the database."""
    callee = callees.answers(6)
    async with relay(ground.lab.pbx.ari_url) as between:
        placed, call_id = await killed_at(ground, between, reply("/record"), callee)
        (row,) = (await ground.service().json("calls", "show", call_id))["recordings"]
        assert (row["state"], row["started_at"]) == ("tagged", None)
        await ground.recorded_a_while()
        async with ground.running(ari=between.url) as service:
            await cleared(ground, service, placed, call_id)
            async with ground.asterisk() as session:
                live = f"{ground.lab.pbx.ari_url}/ari/recordings/live/{row['id']}"
                async with session.get(live) as answer:
                    assert answer.status == 404
            shown = await kept_later(service, call_id)
            await assert_never_brought_together(ground.lab, callee, placed)
        assert shown["recordings"][0]["duration_ms"] > 1000
        assert ground.raw(shown) == []
