"""What goes wrong in a run, and where: at the n-th request to Asterisk, the n-th write, or the n-th ``await`` of a call."""

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Place(StrEnum):
    #: A request to Asterisk.
    REQUEST = "request"
    #: A statement or transaction of the database.
    WRITE = "write"
    #: A call's task waits.
    WAIT = "wait"


class Fault(StrEnum):
    #: Asterisk answers with an error, and does nothing.
    REFUSED = "refused"
    #: Asterisk stands still for longer than an answer is waited for; then it does what it was asked for.
    DONE_LATE = "done_late"
    #: Asterisk does what it was asked for, and stands still before it answers.
    UNANSWERED = "unanswered"
    #: The connection is cut before, or just after, Asterisk does what it was asked for.
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    #: Asterisk answers, and the answer comes a second time.
    TWICE = "twice"

    #: The database fails before, or just after, its commit; or is away for a while; or is slow.
    NOT_WRITTEN = "not_written"
    WRITTEN_UNTOLD = "written_untold"
    AWAY = "away"
    SLOW = "slow"

    #: The call is cancelled, as by a service that loses its connection and has waited long enough.
    CANCELLED = "cancelled"
    #: The connection is cut; or goes silent, which the heartbeat notices.
    CUT = "cut"
    SILENT = "silent"
    #: The service is killed, and another one started. Or it stops in order.
    KILLED = "killed"
    STOPPED = "stopped"
    #: People do what they like.
    CALLEE_GONE = "callee_gone"
    AGENT_GONE = "agent_gone"
    PRESSED = "pressed"
    HELD = "held"


AT = {
    Place.REQUEST: (Fault.REFUSED, Fault.DONE_LATE, Fault.UNANSWERED, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.TWICE),
    Place.WRITE: (Fault.NOT_WRITTEN, Fault.WRITTEN_UNTOLD, Fault.AWAY, Fault.SLOW),
    Place.WAIT: (
        Fault.CANCELLED, Fault.CUT, Fault.SILENT, Fault.KILLED, Fault.STOPPED, Fault.CALLEE_GONE, Fault.AGENT_GONE, Fault.PRESSED,
        Fault.HELD,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class At:
    """The ``nth`` time, from 1, that a run comes to such a place."""

    place: Place
    nth: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.fault}@{self.place}:{self.nth}"

    @classmethod
    def read(cls, text: str) -> "At":
        fault, _, place = text.partition("@")
        where, _, nth = place.partition(":")
        return cls(Place(where), int(nth), Fault(fault))


class Plan:
    """``chosen``: the faults. ``seed``: if given, more faults are drawn by it, about ``most`` in a run."""

    def __init__(self, *chosen: At, seed: int | None = None, most: int = 3) -> None:
        self._chosen = {(each.place, each.nth): each.fault for each in chosen}
        self._drawn = random.Random(f"faults {seed}") if seed is not None else None
        self._left = self._drawn.randint(0, most) if self._drawn else 0
        self._chance = self._drawn.choice((0.01, 0.03, 0.1)) if self._drawn else 0.0
        self.counts: Counter[Place] = Counter()
        #: Whether anything went wrong.
        self.came = False

    def at(self, place: Place) -> Fault | None:
        """What goes wrong here; this counts the place."""
        self.counts[place] += 1
        chosen = self._chosen.get((place, self.counts[place]))
        if chosen is None and self._drawn is not None and self._left and self._drawn.random() < self._chance:
            self._left -= 1
            chosen = self._drawn.choice(AT[place])
        self.came = self.came or chosen is not None
        return chosen
