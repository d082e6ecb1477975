"""The link to Asterisk, or the voices' packets, stop: somebody notices, and nothing untrue is said."""

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from ccari.calls.transport import HEARTBEAT_SECONDS, LATELY_SECONDS
from tests.faults.blackhole import black_hole
from tests.faults.moments import Moment, request
from tests.faults.world import heard
from tests.integration.ground import GONE_SECONDS, Ground, heard_on, kept_later
from tests.integration.relay import Message, relay
from tests.integration.service import START_SECONDS
from tests.integration.studio import CONFIRMED, tone_of
from tests.lab import callees
from tests.lab.audio import PRESENT_DBFS, WINDOW_SECONDS, has, lacks
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: A heartbeat, half of one for its answer, and time for a busy machine.
NOTICED_SECONDS = HEARTBEAT_SECONDS * 1.5 + 5.0
#: A gap in the callee's and the agent's voices.
GAP_SECONDS = 6.0
#: The least for which a hang-up does not reach Asterisk.
HELD_SECONDS = 2.0
BYTES_PER_SECOND = 16_000
SESSIONS = 5


async def test_invariant_5_a_key_that_nobody_heard_is_confirmed_or_the_dead_link_goes_unnoticed(
    ground: Ground,
) -> None:
    """Case 8: in the talk, packets are dropped before the callee presses the key of erasure."""
    callee = callees.answers(1)
    async with black_hole(ground.lab.pbx.ari_url) as way, ground.running(ari=way.url) as service:
        placed = await ground.lab.world.dial(callee.number, campaign="renewals")
        bridged = await service.logged("call_bridged")
        way.swallow()
        await ground.lab.world.callee_presses(callee.number, "7")
        await service.logged("asterisk_away", within=NOTICED_SECONDS)
        assert b"ChannelDtmfReceived" in way.swallowed
        way.let_through()
        await until(lambda: service.count("asterisk_connected") == 2, within=START_SECONDS)
        await ground.lab.world.hang_up(placed)
        _, shown = await ground.ended(service, placed)
        assert shown["id"] == bridged["call_id"]
        assert not {"key_pressed", "right_registered"} & {each["event"] for each in shown["events"]}
        requests = await service.json("requests", "list", "--limit", "1000")
        assert [each for each in requests if each["call_id"] == shown["id"]] == []
        await ground.nothing_left()
    sound = await heard(ground.lab, callee)
    assert has(sound, callees.AGENT_TONE_HZ)
    for hz in (CONFIRMED, tone_of("goodbye")):
        assert lacks(sound, hz)


async def test_who_calls_while_nobody_has_noticed_that_the_link_is_dead_waits_in_silence(
    ground: Ground,
) -> None:
    """Asterisk does not know it either, and would keep the call in Stasis until the heartbeat notices."""
    callee, next_one = callees.answers(13), callees.answers(14)
    async with (
        black_hole(ground.lab.pbx.ari_url) as way,
        ground.asks_whether_it_lives(),
        ground.running(ari=way.url, agi=True) as service,
    ):
        way.swallow()
        silent_since = time.monotonic()
        # for so long what Asterisk has said counts as a sign of life
        await until(lambda: time.monotonic() - silent_since > LATELY_SECONDS, within=START_SECONDS)
        placed = await ground.dial(callee)
        await placed.ended(within=HEARTBEAT_SECONDS)
        outcome = await ground.lab.pbx.outcome(placed.id)
        assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
        assert not service.count("asterisk_away")
        way.let_through()
        await until(lambda: service.count("asterisk_connected") == 2, within=START_SECONDS)
        outcome, _ = await ground.ended(service, await ground.dial(next_one, agent="drops-1"))
        assert outcome.outcome == "bridged"
        await ground.nothing_left()
    invites = [await ground.lab.world.invites(each.number) for each in (callee, next_one)]
    assert invites == [0, 1]


async def test_six_seconds_without_a_packet_end_a_recording_unnoticed(ground: Ground) -> None:
    """Case 19: the far end is stopped, so that neither voice arrives, and then resumed."""
    callee = callees.answers(2)
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callee)
        await ground.recorded_a_while()
        (file,) = ground.lab.pbx.spool.iterdir()
        await ground.lab.world.kill(signal.SIGSTOP)
        try:
            grown = file.stat().st_size + GAP_SECONDS * BYTES_PER_SECOND
            await until(lambda: file.stat().st_size > grown, within=GONE_SECONDS)
        finally:
            await ground.lab.world.kill(signal.SIGCONT)
        after = file.stat().st_size + 2 * BYTES_PER_SECOND
        await until(lambda: file.stat().st_size > after, within=GONE_SECONDS)
        assert "recording_impossible" not in service.of_call(call_id)
        await ground.lab.world.hang_up(placed)
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("bridged", "")
        shown = await kept_later(service, outcome.call)
        assert "recording_short" not in [each["event"] for each in shown["events"]]
        sound = service.recorded(shown["recordings"][0])
    # before the gap and after it
    for stretch in (sound.between(0, 1), sound.between(sound.seconds - 1.2, sound.seconds - 0.2)):
        for hz in (callees.TONE_HZ, callees.AGENT_TONE_HZ):
            assert float(max(stretch.tone_levels(hz))) > PRESENT_DBFS
    assert ground.raw(shown) == []


async def test_last_words_hold_up_all_calls_while_a_prompt_plays_of_before_the_connection_was_lost(
    ground: Ground,
) -> None:
    """Asterisk takes no channel out of a bridge while it plays to it, and answers no request on that connection until
    the prompt is over.
    """
    callee = callees.answers(12)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        placed = await ground.lab.world.dial(callee.number, campaign="renewals")
        await service.logged("call_bridged")
        reads = Moment(between, lambda message: "reference_is" in str(message.get("playback")))
        await ground.lab.world.callee_presses(callee.number, "8")
        await reads.reached()
        between.cut()
        reads.go_on()
        await service.logged("talk_resumed")
        await ground.lab.world.callee_presses(callee.number, "7")
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("right_exercised", "erasure")
        # that request goes beside the connection of all calls
        assert [each for each in between.kinds() if each.endswith("removeChannel")] == []
        await ground.nothing_left()
    sound = await heard(ground.lab, callee)
    assert has(sound.between(sound.seconds / 2), tone_of("goodbye"))
    assert lacks(sound.between(sound.seconds - 0.5), callees.AGENT_TONE_HZ)


async def test_invariant_1_a_number_is_dialled_that_was_barred_while_the_network_held_the_request_up(
    ground: Ground,
) -> None:
    """The request arrives after ccari has given it up, as when lost packets are sent again, one after the other."""
    callee = callees.answers(11)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        dials = Moment(between, request("/dial"))
        placed = await ground.dial(callee)
        await dials.reached()
        await service.succeeds("suppress", "add", callee.number, "--reason", "erasure")
        await service.logged("command_failed", command="Dial")

        async def is_settled() -> bool:
            destroyed = (each for each in between.events if each["type"] == "ChannelDestroyed")
            return await ground.lab.world.invites(callee.number) > 0 or any(
                each["channel"]["id"].endswith("-callee") for each in destroyed
            )

        async def after(message: Message) -> list[Message]:
            if message["method"] == "DELETE":
                await until(is_settled, within=GONE_SECONDS)
            return [message]

        between.on_request = after
        dials.go_on()
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "failed"
        await ground.nothing_left()
    assert await ground.lab.world.invites(callee.number) == 0


async def test_a_hang_up_that_is_held_up_lets_the_callee_hear_the_agent_again(ground: Ground) -> None:
    """Between the last word and the hang-up there is silence, however long it takes."""
    callee = callees.answers(10)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        placed = await ground.lab.world.dial(callee.number, campaign="renewals")
        await service.logged("call_bridged")
        leaves = Moment(
            between, lambda message: message.get("method") == "DELETE" and "channels" in message["uri"]
        )
        await ground.lab.world.callee_presses(callee.number, "7")
        await leaves.reached()
        await heard_on(ground.lab.world, callee)
        leaves.go_on()
        outcome, _ = await ground.ended(service, placed)
        assert (outcome.outcome, outcome.reason) == ("right_exercised", "erasure")
        await ground.nothing_left()
    sound = await heard(ground.lab, callee)
    assert has(sound.between(0, sound.seconds / 2), callees.AGENT_TONE_HZ)
    last_words = [
        at for at, level in enumerate(sound.tone_levels(tone_of("goodbye"))) if level > PRESENT_DBFS
    ]
    rest = sound.between((last_words[-1] + 1) * WINDOW_SECONDS, sound.seconds)
    assert rest.seconds > HELD_SECONDS / 2
    assert lacks(rest, callees.AGENT_TONE_HZ)


async def test_calls_need_more_sessions_than_asterisk_has_or_are_dialled_twice(ground: Ground) -> None:
    """Case 20: sessionlimit=5, and somebody else holds all that are free."""
    async with few_sessions(ground) as held:
        service = ground.service()
        await service.spawn()
        try:
            await service.logged("asterisk_away")
            refused = callees.answers(3)
            outcome, _ = await ground.ended(service, await ground.dial(refused))
            assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
            held.pop().close()
            await service.logged("asterisk_connected", within=START_SECONDS)
            held.append(await open_session(ground))
            with pytest.raises(aiohttp.ClientError):
                await ground.nothing_left()
            called = [callees.answers(serial) for serial in range(4, 10)]
            placed = [await ground.dial(each, agent="drops-1") for each in called]
            for each in placed:
                outcome, _ = await ground.ended(service, each)
                assert (outcome.outcome, outcome.reason) == ("bridged", "")
                await kept_later(service, outcome.call)
        finally:
            assert await service.stop() == 0
    await ground.nothing_left()
    invites = [await ground.lab.world.invites(each.number) for each in (refused, *called)]
    assert invites == [0, 1, 1, 1, 1, 1, 1]


async def open_session(ground: Ground) -> asyncio.StreamWriter:
    """A connection that sends no request; Asterisk counts it as a session."""
    _, writer = await asyncio.open_connection("127.0.0.1", ground.lab.pbx.http_port)
    return writer


@contextlib.asynccontextmanager
async def few_sessions(ground: Ground) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """An Asterisk with few HTTP sessions, all taken."""
    held: list[asyncio.StreamWriter] = []
    try:
        await limit_sessions(ground, SESSIONS)
        held += [await open_session(ground) for _ in range(SESSIONS)]
        yield held
    finally:
        for each in held:
            each.close()
        await limit_sessions(ground, 100)


async def limit_sessions(ground: Ground, most: int) -> None:
    conf = ground.lab.pbx.home / "etc" / "http.conf"
    conf.write_text(re.sub(r"sessionlimit = \d+", f"sessionlimit = {most}", conf.read_text()))
    await ground.lab.pbx.cli("module reload http")
