"""What waits to be heard by one call, with the timers that put more there: what comes first, and what is dropped."""

import asyncio
import functools
from collections.abc import Callable
from typing import Literal

from ccari.policy.call import Event, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on

#: A call has a few dozen events; a callee who drums on the keys makes some hundreds.
INBOX_EVENTS = 256


class Inbox:
    """The call's own task takes from it, one event after the other (:meth:`next`); all else is called by whoever has news of
    the call, and returns at once. Whoever made it sees to :meth:`close`.
    """

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._some = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """How many wait: at most :data:`INBOX_EVENTS`."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """Have it heard behind all that waits. A call that has no room for it is told to let go."""
        if len(self._waiting) < INBOX_EVENTS:
            self._waiting.append(event)
        else:
            # nobody presses 200 keys while one command is carried out: this call goes, the others stay
            self._waiting = [*_survivors([*self._waiting, event]), on.Withdrawn("overload")]
        self._some.set()

    def let_go(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Tell the call to let go, as soon as it has heard of what cannot be undone. That Asterisk is lost is the last word."""
        lost = on.Withdrawn("asterisk_lost")
        last = lost if lost in self._waiting else on.Withdrawn(why)
        self._forget(lambda waiting: isinstance(waiting, on.Withdrawn))
        self.put(last)

    def agent_replaced(self) -> None:
        """What the channel of the agent who was has reported is not of the next one: phones hang up as they transfer."""
        self._forget(_is_of_the_agent)

    def recorder_gone(self) -> None:
        """The recorder that was asked for was taken down again, and may have begun before."""
        self._forget(lambda waiting: isinstance(waiting, on.RecorderStarted))

    def arm(self, timer: Timer, seconds: float) -> None:
        """Put :class:`TimeRanOut` then, in place of an earlier one, which may have run out and be waiting."""
        out = on.TimeRanOut(timer)
        self._forget(lambda waiting: waiting == out)
        self.later(timer, seconds, functools.partial(self.put, out))

    def later(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Do it then, in place of what an earlier timer of that name would have done."""
        earlier = self._timers.get(name)
        if earlier is not None:
            earlier.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, what)

    def close(self) -> None:
        """End the timers."""
        for timer in self._timers.values():
            timer.cancel()

    async def next(self, stage: Stage) -> Event:
        """Take out what a call in that stage hears next; wait until there is something."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        event = self._first(stage)
        self._waiting.remove(event)
        return event

    def next_right(self) -> Event | None:
        """Take out what tells of a right next, for a call that hears nothing else any more; None: there is none."""
        event = next((each for each in self._waiting if _tells_of_a_right(each)), None)
        if event is not None:
            self._waiting.remove(event)
        return event

    def _first(self, stage: Stage) -> Event:
        """What has waited longest. A call that is told to let go is taken no further: only what it must hear comes before.

        What the agent has entered comes before either hangs up, for the agent was told that it is passed on; and before a
        colleague, whose it is not.
        """
        first = next((each for each in self._waiting if isinstance(each, on.Withdrawn)), self._waiting[0])
        if isinstance(first, on.Withdrawn):
            first = next((each for each in self._waiting if _precedes_the_end(each, stage)), first)
        if isinstance(first, on.Gone | on.TransferAsked):
            return next((each for each in self._waiting if isinstance(each, on.RightVoiced)), first)
        return first

    def _forget(self, stale: Callable[[Event], bool]) -> None:
        self._waiting = [each for each in self._waiting if not stale(each)]


def _precedes_the_end(event: Event, stage: Stage) -> bool:
    """True for what a call hears before it lets go. None of it dials, calls an agent or brings the two together."""
    match event:
        case on.GateBlocked() | on.TokenRefused() | on.Bridged():
            return True
        case on.Gone():
            # there the agent who goes makes way for the colleague
            return stage is not Stage.HANDOVER
        case on.AgentKeyPressed() | on.RecorderStarted() | on.RecorderStopped():
            # whoever takes the talk up is to know; elsewhere the bridge may wait for the recorder
            return stage is Stage.TALK
        case _:
            return _tells_of_a_right(event)


def _tells_of_a_right(event: Event) -> bool:
    """True for what may be a right, and for what became of one."""
    match event:
        case on.KeyPressed() | on.RightVoiced() | on.RightRegistered() | on.RightSpooled():
            return True
        case on.Failed(do.RegisterRight()):
            return True
        case _:
            return False


def _survivors(flood: list[Event]) -> list[Event]:
    """No right that was pressed is lost in a flood, nor what became of it: each key once, as it was pressed first."""
    kept: dict[object, Event] = {}
    for each in flood:
        match each:
            case on.KeyPressed(key):
                kept.setdefault(key, each)
            case on.RightVoiced(right):
                kept.setdefault(right, each)
            case on.RightRegistered() | on.RightSpooled() | on.Failed(do.RegisterRight()):
                kept.setdefault(each, each)
            case _:
                pass
    return list(kept.values())


def _is_of_the_agent(event: Event) -> bool:
    match event:
        case on.AgentCreated() | on.AgentAnswered() | on.AgentKeyPressed() | on.TransferAsked():
            return True
        case on.Gone(Party.AGENT) | on.Played(party=Party.AGENT):
            return True
        case _:
            return False
