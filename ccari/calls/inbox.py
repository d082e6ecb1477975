"""The events waiting for one call, and its timers: which event comes first, and which are dropped."""

import asyncio
import functools
from collections.abc import Callable
from typing import Literal

from ccari.policy.call import Event, Party, Stage, Timer
from ccari.policy.call import commands as do
from ccari.policy.call import events as on

#: A call has a few dozen events; a callee drumming on the keys makes some hundreds.
INBOX_EVENTS = 256


class Inbox:
    """One call's queue. The call's own task takes one event after the other (:meth:`next`). The other methods
    may be called from anywhere, and return at once. The owner must close it.
    """

    def __init__(self) -> None:
        self._waiting: list[Event] = []
        self._arrived = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """How many events wait: at most :data:`INBOX_EVENTS`."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """Queue an event. If the inbox is full, keep only events about rights, and tell the call to let go."""
        if len(self._waiting) < INBOX_EVENTS:
            self._waiting.append(event)
        else:
            # no person presses 200 keys while one command is carried out: end this call, to protect the others
            self._waiting = [*_survivors([*self._waiting, event]), on.LetGo("overload")]
        self._arrived.set()

    def put_before(self, event: Event, later: Callable[[Event], bool]) -> None:
        """Queue an event before the first waiting one that satisfies ``later``; as :meth:`put` if there is none."""
        at = next((place for place, waiting in enumerate(self._waiting) if later(waiting)), None)
        if at is None or len(self._waiting) >= INBOX_EVENTS:
            self.put(event)
        else:
            self._waiting.insert(at, event)

    def let_go(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Tell the call to let go, after the events that cannot be undone. ``shutdown`` does not replace ``asterisk_lost``."""
        lost = on.LetGo("asterisk_lost")
        last = lost if lost in self._waiting else on.LetGo(why)
        self._forget(lambda waiting: isinstance(waiting, on.LetGo))
        self.put(last)

    def awaits(self, event: Event) -> bool:
        """True if this event is in the queue."""
        return event in self._waiting

    def awaits_any(self, of_kind: Callable[[Event], bool]) -> bool:
        """True if any waiting event satisfies ``of_kind``."""
        return any(map(of_kind, self._waiting))

    def agent_replaced(self) -> None:
        """Drop the events of the former agent's channel: many phones hang up when they transfer, but the
        colleague has not hung up.
        """
        self._forget(_is_of_the_agent)

    def recorder_gone(self) -> None:
        """Drop the start of a recorder that was taken down again: it may have been reported already."""
        self._forget(lambda waiting: isinstance(waiting, on.RecorderStarted))

    def arm(self, timer: Timer, seconds: float) -> None:
        """Queue :class:`on.TimeRanOut` after so many seconds. Replaces an earlier one, even if it is already waiting."""
        out = on.TimeRanOut(timer)
        self._forget(lambda waiting: waiting == out)
        self.later(timer, seconds, functools.partial(self.put, out))

    def later(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Call ``what`` after so many seconds. Replaces an earlier timer of that name."""
        earlier = self._timers.get(name)
        if earlier is not None:
            earlier.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, what)

    def close(self) -> None:
        """Cancel the timers."""
        for timer in self._timers.values():
            timer.cancel()

    async def next(self, stage: Stage) -> Event:
        """Wait for the event that a call in this stage hears next, and take it out."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        event = self._first(stage)
        self._waiting.remove(event)
        return event

    def next_right(self) -> Event | None:
        """Take out the next event about a right, for a call that hears no other events any more; None if there is none."""
        event = next((each for each in self._waiting if _tells_of_a_right(each)), None)
        if event is not None:
            self._waiting.remove(event)
        return event

    def _first(self, stage: Stage) -> Event:
        """The oldest event, with two exceptions.

        Once a call is told to let go, only what it must still hear (:func:`_precedes_the_end`) comes before
        that. A right that the agent entered comes before a hang-up or a transfer: the agent was told that it
        is being passed on, and the colleague did not enter it.
        """
        if len(self._waiting) == 1:
            return self._waiting[0]
        first = next((each for each in self._waiting if isinstance(each, on.LetGo)), self._waiting[0])
        if isinstance(first, on.LetGo):
            first = next((each for each in self._waiting if _precedes_the_end(each, stage)), first)
        if isinstance(first, on.Gone | on.TransferAsked):
            return next((each for each in self._waiting if isinstance(each, on.RightVoiced)), first)
        return first

    def _forget(self, stale: Callable[[Event], bool]) -> None:
        self._waiting = [each for each in self._waiting if not stale(each)]


def _precedes_the_end(event: Event, stage: Stage) -> bool:
    """True for events that a call hears before it lets go. None of them dials, calls an agent or connects the two."""
    match event:
        case on.GateBlocked() | on.TokenRefused() | on.Bridged():
            return True
        case on.Gone():
            # in a hand-over, the agent who hangs up makes way for the colleague
            return stage is not Stage.HANDOVER
        case on.AgentKeyPressed() | on.RecorderStarted() | on.RecorderStopped():
            # the run that takes the talk up must know of these; in other stages, the bridge may wait for the recorder
            return stage is Stage.TALK
        case _:
            return _tells_of_a_right(event)


def _tells_of_a_right(event: Event) -> bool:
    """True for events that may exercise a right, and for those that say what became of one."""
    match event:
        case on.KeyPressed() | on.RightVoiced() | on.RightRegistered() | on.RightSpooled():
            return True
        case on.Failed(do.RegisterRight()):
            return True
        case _:
            return False


def _survivors(flood: list[Event]) -> list[Event]:
    """The events kept from a flood: the first press of each key, and the results of rights."""
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
