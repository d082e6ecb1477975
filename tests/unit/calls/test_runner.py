"""What a call that is flooded with events lets go of, and what it waits for while the database is away."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from ccari.calls import runner as runners
from ccari.calls.desk import Order
from ccari.calls.runner import INBOX_EVENTS, CallRunner
from ccari.errors import StoreError
from ccari.policy.call import Call, Command, Direction, Event, Party, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.rights import Right
from tests.unit.calls.talking import IDLE_DESK
from tests.unit.policy.story import Story

SECONDS = 30.0
Why = Literal["shutdown", "asterisk_lost"]


def press(runner: CallRunner, digit: str) -> on.KeyPressed:
    """The callee does so now; gives what is to come of it."""
    at = datetime.now(UTC)
    told = {"digit": digit, "timestamp": at.isoformat(), "channel": {"id": runner.ids.callee}}
    runner.take({"type": "ChannelDtmfReceived", **told})
    return on.KeyPressed(digit, at)


async def test_a_flood_of_keys_grows_without_bound_or_loses_a_right() -> None:
    """The call is not run, as if one command took for ever; its desk is never asked."""
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "agent-channel", "anna"), IDLE_DESK
    )
    keys = [press(runner, digit) for digit in ["7", *"1" * (INBOX_EVENTS - 1), "8"]]
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    # each as of when it was pressed first
    assert left == [keys[0], keys[1], keys[-1], on.Withdrawn("overload")]


@pytest.mark.parametrize(
    ("first", "second", "last"),
    [
        ("shutdown", "shutdown", "shutdown"),
        ("shutdown", "asterisk_lost", "asterisk_lost"),
        ("asterisk_lost", "shutdown", "asterisk_lost"),
    ],
)
async def test_two_reasons_to_let_a_call_go_wait_for_each_other_and_stop_the_service_for_ever(
    first: Why, second: Why, last: Why
) -> None:
    """Told to stop, and in a hurry, or the connection lost meanwhile: each would let the other go first."""
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "agent-channel", "anna"), IDLE_DESK
    )
    runner.withdraw(first)
    key = press(runner, "7")
    runner.withdraw(second)
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    assert left == [key, on.Withdrawn(last)]


async def test_a_phone_that_hangs_up_as_it_transfers_takes_the_colleague_along() -> None:
    """Its end waits in the inbox while the transfer is decided, and is not the colleague's."""
    runner = CallRunner.of(Order(Direction.AGENT_FIRST, "+48600100001", "renewals", None, "anna"), IDLE_DESK)
    gone = {"type": "ChannelDestroyed", "cause": 16}
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    key = press(runner, "7")
    runner._forget_agent()
    runner.ids.hand_over()
    runner.take(gone | {"channel": {"id": runner.ids.agent}})
    left: list[Event] = [runner._inbox.get_nowait() for _ in range(runner._inbox.qsize())]
    assert left == [key, on.Gone(Party.AGENT, 16)]


class Away:
    """What a call does while the database is away. ``tried``: how often it was to keep what the talk is taken up with."""

    def __init__(self) -> None:
        self.tried = 0
        self.done: list[Command] = []

    def show(self, call: Call) -> None: ...

    async def carry_out(self, command: Command) -> Event | None:
        self.done.append(command)
        return on.RightSpooled(command.right) if isinstance(command, do.RegisterRight) else None

    async def remember(self, told: Mapping[str, Any] | None) -> None:
        self.tried += 1
        raise StoreError("the database did not answer in time")


def talking(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[CallRunner, Away]:
    runner = CallRunner.of(
        Order(Direction.OUTBOUND, "+48600100001", "renewals", "agent-channel", "anna"), IDLE_DESK
    )
    runner._call = Story(**changes).talk().call
    monkeypatch.setattr(runner, "_actions", away := Away())
    monkeypatch.setattr(runner, "_await_playback", lambda _party: None)
    return runner, away


@pytest.mark.parametrize(("key", "right"), [("8", Right.ACCESS), ("7", Right.ERASURE)])
async def test_whoever_pressed_waits_for_a_database_that_is_known_to_be_away(
    monkeypatch: pytest.MonkeyPatch, key: str, right: Right
) -> None:
    """Each try to keep what the talk is taken up with lasts as long as the database may, and the answer comes after it.

    Not even a right that ends the recording has to be tried: it is on the disk.
    """
    runner, away = talking(monkeypatch)
    await runner._step(on.KeyPressed(key))
    await runner._step(runner._inbox.get_nowait())
    assert do.RegisterRight(right, key) in away.done
    assert do.Play(Party.CALLEE, f"right_registered_{right}") in away.done
    assert away.tried == 0


async def test_invariant_6_a_pause_waits_to_be_kept_for_a_database_that_was_away_a_moment_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried once: who takes the talk up before it is kept would record a card's number."""
    runner, away = talking(monkeypatch, agent_keys={"*1": "pause_recording"})
    await runner._step(on.KeyPressed("9"))
    assert (away.tried, runner._call.paused) == (1, False)
    paused: list[Event] = [on.AgentKeyPressed("*"), on.AgentKeyPressed("1"), on.RecorderStopped()]
    for event in paused:
        runner._call, _ = decide(runner._call, event)
        await runner._remember()
    assert (away.tried, runner._call.paused) == (2, True)
    for timer in runner._timers.values():
        timer.cancel()


async def test_a_talk_is_never_kept_again_once_the_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "KEEP_AGAIN_SECONDS", 0.01)
    runner, away = talking(monkeypatch)
    await runner._step(on.KeyPressed("9"))
    for tries in (1, 2):
        assert away.tried == tries
        async with asyncio.timeout(SECONDS):
            again = await runner._inbox.get()
        assert again == on.TimeRanOut("keep")
        await runner._step(again)
    for timer in runner._timers.values():
        timer.cancel()


async def test_invariant_6_a_refusal_counts_from_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another right is being registered, by a database that hangs: what is said meanwhile is not to be kept."""
    runner, away = talking(monkeypatch)
    first, refusal = (on.KeyPressed(key, datetime.now(UTC)) for key in "82")
    for each in (first, refusal):
        runner._put(each)
    for _ in (first, refusal):
        await runner._step(runner._inbox.get_nowait())
    assert [each for each in away.done if isinstance(each, do.StopRecorder | do.RegisterRight)] == [
        do.RegisterRight(Right.ACCESS, "8", at=first.at),
        do.StopRecorder(keep=True, at=refusal.at),
        do.RegisterRight(Right.REFUSE_RECORDING, "2", at=refusal.at),
    ]
    for timer in runner._timers.values():
        timer.cancel()
