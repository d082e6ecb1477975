"""The notice cannot be played, or there is no proof that it was: the two are not bridged, and nothing is recorded."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.moments import Moment, request
from tests.faults.world import assert_never_brought_together, was_told
from tests.integration.ground import Ground
from tests.integration.relay import Message, relay
from tests.integration.service import Service
from tests.lab import AgentCall, Callee, callees

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOTICE = "pl/brief/recording_opt_out"


@contextlib.contextmanager
def spoilt(sounds: Path, how: str) -> Iterator[None]:
    """The file of the campaign's notice is missing, is empty, ends early, or has other content of the same length."""
    path = sounds / f"{NOTICE}.sln12"
    content = path.read_bytes()
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            path.write_bytes(content[: len(content) // 2])
        case "something else":
            path.write_bytes(bytes(len(content)))
    try:
        yield
    finally:
        path.write_bytes(content)


async def assert_unheard(ground: Ground, service: Service, callee: Callee, placed: AgentCall) -> None:
    """The call ends, and nobody was heard or recorded."""
    outcome, shown = await ground.ended(service, placed)
    assert outcome.outcome == "notice_failed"
    assert (shown["heard_at"], shown["recordings"], shown["fault"]) == (None, [], None)
    assert not {"notice_heard", "call_bridged"} & {each["event"] for each in shown["events"]}
    await ground.nothing_left()
    await assert_never_brought_together(ground.lab, callee, placed)
    assert list(ground.lab.pbx.spool.iterdir()) == []


async def test_invariant_3_a_callee_is_rung_whose_notice_is_spoilt(ground: Ground, sounds: Path) -> None:
    """Case 14: the files were whole when the service began. For some of them, nobody could tell that they were not
    heard.
    """
    callee = callees.answers(8)
    async with ground.running() as service:
        for how in ("something else", "missing"):
            with spoilt(sounds, how):
                outcome, shown = await ground.ended(service, await ground.dial(callee))
            assert (outcome.outcome, outcome.reason) == ("blocked", "prompts_missing")
            assert (shown["heard_at"], shown["recordings"]) == (None, [])
        await ground.nothing_left()
        assert await ground.lab.world.invites(callee.number) == 0
        outcome, _ = await ground.ended(service, await ground.dial(callee, agent="drops-1"))
        assert outcome.outcome == "bridged"
    assert await ground.lab.world.invites(callee.number) == 1


@pytest.mark.parametrize(
    ("how", "serial"), [("missing", 1), ("empty", 2), ("cut short", 3), ("something else", 9)]
)
async def test_invariant_3_a_notice_that_is_spoilt_while_it_rings_counts_as_heard(
    ground: Ground, sounds: Path, how: str, serial: int
) -> None:
    """Case 14: the files were whole when the service began, and when the gate allowed the call."""
    callee = callees.answers(serial)
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        moment = Moment(between, request("/dial"))
        placed = await ground.dial(callee)
        await moment.reached()
        with spoilt(sounds, how):
            moment.go_on()
            await assert_unheard(ground, service, callee, placed)


async def test_invariant_3_a_notice_that_somebody_stops_counts_as_heard(ground: Ground) -> None:
    """Case 15: a stranger deletes the playback, which Asterisk reports as done."""
    callee = callees.answers(5)
    deleted: list[str] = []
    ended: list[str] = []

    async def meddle(message: Message) -> list[Message]:
        if message["type"] == "PlaybackStarted" and not deleted:
            playback = message["playback"]["id"]
            async with ground.asterisk() as session:
                where = f"{ground.lab.pbx.ari_url}/ari/playbacks/{playback}"
                async with session.delete(where) as answer:
                    # one that is already over was heard: try the next
                    deleted.extend([playback] if answer.status == 204 else [])
        if message["type"] == "PlaybackFinished" and message["playback"]["id"] in deleted:
            ended.append(message["playback"]["state"])
        return [message]

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        between.on_reply = meddle
        placed = await ground.lab.world.dial(callee.number, campaign="renewals")
        await assert_unheard(ground, service, callee, placed)
    assert ended == ["done"]


async def test_invariant_3_a_notice_whose_end_is_not_reported_counts_as_heard_or_holds_the_call(
    ground: Ground,
) -> None:
    """Case 15: no final event."""
    callee = callees.answers(6)
    lost: list[str] = []

    async def lose(message: Message) -> list[Message]:
        if message["type"] == "PlaybackFinished":
            lost.append(message["playback"]["state"])
            return []
        return [message]

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        between.on_reply = lose
        placed = await ground.dial(callee)
        await assert_unheard(ground, service, callee, placed)
    assert lost == ["done"]


async def test_invariant_3_a_callee_who_hangs_up_in_the_notice_has_heard_it(ground: Ground) -> None:
    """Case 15: it is cut short, and the next call plays it from the beginning."""
    callee = callees.hangs_up(2, 7)
    async with ground.running() as service:
        for _ in range(2):
            placed = await ground.lab.world.dial(callee.number, campaign="renewals")
            outcome, shown = await ground.ended(service, placed)
            assert outcome.outcome == "callee_hangup"
            assert (shown["heard_at"], shown["recordings"]) == (None, [])
            await assert_never_brought_together(ground.lab, callee, placed)
            assert await was_told(ground.lab, callee, "identity")
        await ground.nothing_left()
    assert list(ground.lab.pbx.spool.iterdir()) == []
