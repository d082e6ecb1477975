"""What waits for a call to hear it: in which order it comes, and what a flood, a transfer or the order to let go leaves of it."""

import asyncio
from datetime import UTC, datetime
from typing import Literal

import pytest

from ccari.calls.inbox import INBOX_EVENTS, Inbox
from ccari.policy.call import Event, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from tests.unit.policy.campaigns import campaign

SECONDS = 30.0
Why = Literal["shutdown", "asterisk_lost"]
AT = datetime(2026, 11, 25, 10, tzinfo=UTC)
LET_GO = on.LetGo("shutdown")


def holding(*events: Event) -> Inbox:
    inbox = Inbox()
    for each in events:
        inbox.put(each)
    return inbox


async def taken(inbox: Inbox, stage: Stage = Stage.TALK) -> list[Event]:
    """Everything that waits, in the order in which a call that stays in ``stage`` hears it."""
    async with asyncio.timeout(SECONDS):
        return [await inbox.next(stage) for _ in range(len(inbox))]


async def test_a_call_hears_what_came_later_first() -> None:
    events: list[Event] = [on.KeyPressed("7", AT), on.RecorderStopped(), on.Gone(Party.CALLEE)]
    assert await taken(holding(*events)) == events


async def test_a_call_sleeps_on_when_something_comes() -> None:
    inbox = Inbox()
    asyncio.get_running_loop().call_soon(inbox.put, on.Bridged())
    async with asyncio.timeout(SECONDS):
        assert await inbox.next(Stage.TALK) == on.Bridged()


async def test_a_flood_of_keys_grows_without_bound_or_loses_a_right() -> None:
    keys: list[Event] = [on.KeyPressed(digit, AT) for digit in ["7", *"1" * (INBOX_EVENTS - 2)]]
    voiced, last = on.RightVoiced(Right.ACCESS, AT), on.KeyPressed("8", AT)
    # the call's end waits for the fate of those that were pressed before
    outcomes: list[Event] = [
        on.RightRegistered(Right.ERASURE, "R-1"), on.RightSpooled(Right.OBJECTION), on.Failed(do.RegisterRight(Right.PORTABILITY, "#")),
    ]  # fmt: skip
    inbox = holding(*keys[:-3], *outcomes, voiced)
    assert len(inbox) == INBOX_EVENTS
    inbox.put(last)
    # each key counts from its first press
    assert await taken(inbox) == [keys[0], keys[1], *outcomes, voiced, last, on.LetGo("overload")]


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
    """Told to stop, and then in a hurry, or with the connection lost meanwhile: each reason would let the other go
    first.
    """
    inbox, key = Inbox(), on.KeyPressed("7", AT)
    inbox.let_go(first)
    inbox.put(key)
    inbox.let_go(second)
    assert await taken(inbox) == [key, on.LetGo(last)]


@pytest.mark.parametrize(
    "event",
    [
        on.KeyPressed("7", AT), on.RightVoiced(Right.ACCESS, AT), on.RightRegistered(Right.ACCESS, "R-1"),
        on.RightSpooled(Right.ACCESS), on.Failed(do.RegisterRight(Right.ACCESS, "8")), on.Bridged(),
        on.GateBlocked(Block.HOLIDAY), on.TokenRefused(Block.HOLIDAY),
    ],
)  # fmt: skip
async def test_a_call_lets_go_before_it_knows_what_became_of_it(event: Event) -> None:
    for stage in Stage:
        assert await taken(holding(LET_GO, event), stage) == [event, LET_GO]


@pytest.mark.parametrize(
    "event",
    [
        on.GateAllowed(campaign()), on.CalleeCreated(), on.TokenSpent(), on.CalleeAnswered(),
        on.HumanFound(), on.Played("recording", whole=True), on.HeardCommitted(), on.RecordingTagged(),
        on.AgentCreated(), on.AgentAnswered(), on.TransferAsked("1002"), on.TimeRanOut(Timer.AGREEMENT),
        on.Failed(do.StartRecorder()),
    ],
)  # fmt: skip
async def test_a_call_that_is_told_to_let_go_is_taken_on_first(event: Event) -> None:
    """Although that has waited longer."""
    for stage in Stage:
        assert await taken(holding(event, LET_GO), stage) == [LET_GO, event]


@pytest.mark.parametrize("event", [on.AgentKeyPressed("*", AT), on.RecorderStarted(), on.RecorderStopped()])
async def test_a_talk_is_left_as_it_was_or_a_recorder_brings_the_two_together(event: Event) -> None:
    for stage in Stage:
        heard = [event, LET_GO] if stage is Stage.TALK else [LET_GO, event]
        assert await taken(holding(LET_GO, event), stage) == heard


async def test_who_has_gone_is_hung_up_or_makes_way_for_a_colleague() -> None:
    gone = on.Gone(Party.AGENT)
    for stage in Stage:
        heard = [LET_GO, gone] if stage is Stage.HANDOVER else [gone, LET_GO]
        assert await taken(holding(LET_GO, gone), stage) == heard


async def test_what_an_agent_has_entered_is_the_colleagues() -> None:
    asked, voiced, key = on.TransferAsked("1002"), on.RightVoiced(Right.ACCESS, AT), on.KeyPressed("7", AT)
    assert await taken(holding(asked, key, voiced)) == [voiced, asked, key]


@pytest.mark.parametrize("after", [(), (LET_GO,)])
async def test_a_right_that_the_agents_screen_has_passed_on_is_lost_as_both_hang_up(
    after: tuple[Event, ...],
) -> None:
    """The call is busy with a slow database, and both ends wait."""
    gone, voiced = (on.Gone(Party.CALLEE), on.Gone(Party.AGENT)), on.RightVoiced(Right.ERASURE, AT)
    key = on.KeyPressed("8", AT)
    assert await taken(holding(key, *gone, voiced, *after)) == [key, voiced, *gone, *after]


async def test_what_the_phone_of_the_agent_who_was_reports_is_of_the_colleagues() -> None:
    of_the_callee: list[Event] = [
        on.KeyPressed("7", AT), on.RightVoiced(Right.ACCESS, AT), on.Gone(Party.CALLEE),
        on.Played("recording", whole=True), on.RecorderStopped(),
    ]  # fmt: skip
    inbox = holding(
        on.AgentCreated(), on.AgentAnswered(), on.AgentKeyPressed("*", AT), on.TransferAsked("1002"),
        on.Gone(Party.AGENT), on.Played("agent_call_recorded", whole=True, party=Party.AGENT), *of_the_callee,
    )  # fmt: skip
    inbox.agent_replaced()
    assert await taken(inbox) == of_the_callee


async def test_a_recorder_that_was_taken_down_again_is_thought_to_run() -> None:
    inbox = holding(on.RecorderStarted(), on.RecorderStopped())
    inbox.recorder_gone()
    assert await taken(inbox) == [on.RecorderStopped()]


async def test_a_callee_who_was_cut_off_has_hung_up() -> None:
    """Asterisk reports the cut before it is known that the dial had no answer."""
    inbox = holding(on.CalleeAnswered(), on.Gone(Party.CALLEE, 16))
    unanswered = on.Failed(do.Dial())
    for each in (unanswered, on.RecorderStopped()):
        inbox.put_before(each, lambda waiting: isinstance(waiting, on.Gone))
    assert await taken(inbox) == [
        on.CalleeAnswered(), unanswered, on.RecorderStopped(), on.Gone(Party.CALLEE, 16),
    ]  # fmt: skip
    inbox.put_before(unanswered, lambda waiting: isinstance(waiting, on.Gone))
    assert await taken(inbox) == [unanswered]


async def test_a_call_that_is_over_hears_of_more_than_rights() -> None:
    """What else waits would have a call that has ended go on."""
    pressed, registered = on.KeyPressed("7", AT), on.RightRegistered(Right.ERASURE, "R-1")
    inbox = holding(on.AgentAnswered(), pressed, on.Gone(Party.AGENT), registered, LET_GO)
    assert [inbox.next_right() for _ in range(3)] == [pressed, registered, None]


async def test_a_full_inbox_has_room_for_what_is_put_before_others() -> None:
    gone, registered = on.Gone(Party.CALLEE), on.RightRegistered(Right.ERASURE, "R-1")
    for waiting, left in ((INBOX_EVENTS - 1, INBOX_EVENTS), (INBOX_EVENTS, 2)):
        inbox = holding(*[gone] * waiting)
        inbox.put_before(registered, lambda each: each == gone)
        assert len(inbox) == left
        assert await inbox.next(Stage.TALK) == registered


async def test_a_timer_that_is_set_anew_runs_out_as_the_earlier_one() -> None:
    """Whether the earlier one has already run out, or would have."""
    inbox = holding(on.TimeRanOut(Timer.STOP), on.TimeRanOut(Timer.CODE))
    inbox.arm(Timer.STOP, 0.0)
    inbox.arm(Timer.STOP, SECONDS)
    inbox.arm(Timer.RING, 0.0)
    assert await taken(inbox) == [on.TimeRanOut(Timer.CODE)]
    async with asyncio.timeout(SECONDS):
        assert await inbox.next(Stage.TALK) == on.TimeRanOut(Timer.RING)
    assert len(inbox) == 0
    inbox.close()


async def test_a_call_that_is_over_is_told_of_its_timers() -> None:
    inbox = Inbox()
    inbox.arm(Timer.STOP, 0.0)
    inbox.close()
    ran = asyncio.Event()
    asyncio.get_running_loop().call_later(0.0, ran.set)
    async with asyncio.timeout(SECONDS):
        await ran.wait()
    assert len(inbox) == 0
