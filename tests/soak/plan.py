"""What a seed plans: which calls are placed when, which numbers are barred meanwhile, and what breaks for how long."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.lab import Callee, callees
from tests.soak.campaigns import CAMPAIGNS, CONTROLLERS

SERIALS = 100
BARRED_BEFORE = 24
FIRST_FAULT_SECONDS = 8.0
#: From the end of one fault to the next: the service may recover fully in this time, or not quite.
BETWEEN_FAULTS_SECONDS = (2.0, 16.0)
#: How often a second fault overlaps another.
TOGETHER = 0.15
#: How often a number is called that one of the controllers barred from the beginning; and how often one is called again
#: that was called lately, and may have pressed a right.
BARRED = 0.12
AGAIN = 0.2
LATELY = 40
BARS_EACH_MINUTE = 4.0
#: How often a caller withholds their number; and how often an agent who may enters codes, or transfers.
WITHHELD = 0.3
CODES = 0.3
REFERS = 0.25
#: How often a talk is long enough that a service that dies in it, and restarts, takes it up.
LONG = 0.4
#: No fault in the last part of a run: it is left to the calls under way.
QUIET_END_SECONDS = 10.0


class Fault(StrEnum):
    """What breaks. ``CUT``: connections are reset and refused; ``STALL``: bytes are held back, and nobody is told;
    ``END``: it is told to stop by SIGTERM, and ``AT_ONCE`` by a second one.
    """

    KILL_CCARI = "kill ccari"
    END_CCARI = "end ccari"
    END_CCARI_AT_ONCE = "end ccari at once"
    STOP_CCARI = "stop ccari"
    KILL_POSTGRES = "kill postgres"
    STOP_POSTGRES = "stop postgres"
    KILL_ASTERISK = "kill asterisk"
    STOP_ASTERISK = "stop asterisk"
    CUT_ASTERISK = "cut asterisk"
    STALL_ASTERISK = "stall asterisk"
    CUT_POSTGRES = "cut postgres"
    STALL_POSTGRES = "stall postgres"
    FILL_SPOOL = "fill spool"
    FILL_DATA = "fill data"
    STEP_CLOCK = "step clock"


#: How long each lasts, in seconds: for a kill, the time until the supervisor restarts it; for an end, the time until
#: the next fault or the second SIGTERM.
LASTS = {
    Fault.KILL_CCARI: (0.5, 3.0),
    Fault.END_CCARI: (2.0, 10.0),
    Fault.END_CCARI_AT_ONCE: (0.2, 4.0),
    Fault.STOP_CCARI: (1.0, 20.0),
    Fault.KILL_POSTGRES: (0.5, 8.0),
    Fault.STOP_POSTGRES: (1.0, 12.0),
    Fault.KILL_ASTERISK: (0.5, 3.0),
    Fault.STOP_ASTERISK: (0.5, 8.0),
    Fault.CUT_ASTERISK: (0.0, 8.0),
    Fault.STALL_ASTERISK: (1.0, 15.0),
    Fault.CUT_POSTGRES: (0.0, 8.0),
    Fault.STALL_POSTGRES: (1.0, 15.0),
    Fault.FILL_SPOOL: (4.0, 20.0),
    Fault.FILL_DATA: (4.0, 20.0),
    Fault.STEP_CLOCK: (4.0, 20.0),
}
#: By how many seconds a clock is put forward or back.
CLOCK_STEPS = (-3600, -90, -5, 5, 90, 3600)


@dataclass(frozen=True)
class PlannedCall:
    """``at``: seconds into the run. ``agent``: what the agent's phone does, as in tests/lab/world.py. ``withheld``: the
    caller shows no number.
    """

    at: float
    number: str
    campaign: str
    agent: str
    withheld: bool = False


@dataclass(frozen=True)
class PlannedBar:
    at: float
    number: str
    controller: str
    reason: str


@dataclass(frozen=True)
class PlannedFault:
    """``by``: how many seconds a clock is stepped."""

    at: float
    seconds: float
    kind: Fault
    by: int = 0

    @property
    def ends(self) -> float:
        return self.at + self.seconds


@dataclass(frozen=True)
class Plan:
    seed: int
    seconds: float
    calls: tuple[PlannedCall, ...]
    bars: tuple[PlannedBar, ...]
    faults: tuple[PlannedFault, ...]


def make(seed: int, seconds: float, *, calls_each_second: float, without: Sequence[Fault] = ()) -> Plan:
    """The plan of this seed, rate and length; ``without``: kinds of faults that cannot be produced here."""
    calls, bars = _calls(random.Random(f"{seed} calls"), seconds, calls_each_second)
    kinds = [each for each in Fault if each not in without]
    return Plan(seed, seconds, calls, bars, _faults(random.Random(f"{seed} faults"), seconds, kinds))


def _calls(
    chance: random.Random, seconds: float, rate: float
) -> tuple[tuple[PlannedCall, ...], tuple[PlannedBar, ...]]:
    numbers = _Numbers(chance)
    barred = [callees.answers(serial).number for serial in range(SERIALS - BARRED_BEFORE, SERIALS)]
    bars = [PlannedBar(0.0, each, chance.choice(CONTROLLERS), _reason(chance)) for each in barred]
    calls: list[PlannedCall] = []
    at = 1.0
    while at < seconds - QUIET_END_SECONDS:
        campaign = chance.choice(list(CAMPAIGNS))
        # no caller is busy, and one who answers late would hear the notice before they listen
        called = [
            each.number for each in calls if not CAMPAIGNS[campaign].inbound or numbers.can_call(each.number)
        ]
        number = _number(chance, campaign, numbers, barred, called)
        withheld = CAMPAIGNS[campaign].inbound and chance.random() < WITHHELD
        calls.append(PlannedCall(at, number, campaign, _agent(chance, campaign, barred), withheld))
        if chance.random() < BARS_EACH_MINUTE / 60 / rate:
            # somebody enters it by hand while the number is being called, or is about to be
            moment = max(0.0, at + chance.uniform(-1.0, 1.0))
            bars.append(PlannedBar(moment, number, chance.choice(CONTROLLERS), _reason(chance)))
        at += chance.expovariate(rate)
    return tuple(calls), tuple(sorted(bars, key=lambda each: each.at))


def _agent(chance: random.Random, campaign: str, barred: Sequence[str]) -> str:
    """Each agent hangs up at some point. One who transfers does so to a colleague, or tries to reach a barred number."""
    declared, early, late = CAMPAIGNS[campaign], chance.randint(0, 4), chance.randint(0, 4)
    kind, codes = chance.random(), list(declared.codes)
    if codes and kind < CODES:
        return f"presses-{chance.choice(codes)}-{early}-{chance.choice(codes)}-{late}-{chance.randint(1, 5)}"
    if kind > 1 - REFERS:
        whom = chance.choice(
            ["drops.2.next", "drops.5.next", "busy.next", chance.choice(barred).removeprefix("+")]
        )
        return f"refers-{whom}-{early}-{chance.randint(1, 6)}"
    return f"drops-{chance.randint(1, 9) if chance.random() > LONG else chance.randint(15, 40)}"


def _reason(chance: random.Random) -> str:
    return chance.choice(["do_not_call", "objection_marketing", "erasure"])


def _number(
    chance: random.Random, campaign: str, numbers: "_Numbers", barred: Sequence[str], called: Sequence[str]
) -> str:
    if chance.random() < BARRED:
        return chance.choice(barred)
    if called and chance.random() < AGAIN:
        return chance.choice(called[-LATELY:])
    return numbers.next(campaign).number


class _Numbers:
    """Callees of every behaviour, each with a number of its own as long as there are any left."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._used: Counter[str] = Counter()
        self._unreached: set[str] = set()

    def can_call(self, number: str) -> bool:
        """Whether a caller with that behaviour hears a notice as soon as they are answered."""
        return number[:-2] not in self._unreached

    def next(self, campaign: str) -> Callee:
        declared, chance = CAMPAIGNS[campaign], self._chance
        keys = list(declared.keys)
        early, late = chance.randint(0, 2), chance.randint(3, 7)
        presses: list[Callable[[int], Callee]] = [
            _made(callees.presses, chance.choice(keys), early),
            _made(callees.presses, chance.choice(keys), late),
            _made(callees.presses_twice, chance.choice(keys), chance.randint(1, 4)),
            _made(callees.presses_then, chance.choice(keys), early, chance.choice(keys), late),
        ]
        talks: list[Callable[[int], Callee]] = [
            callees.answers, callees.answers, callees.silent, _made(callees.hangs_up, chance.randint(0, 12)),
        ]  # fmt: skip
        unreached: list[Callable[[int], Callee]] = [
            callees.busy, callees.no_answer, callees.rejects, callees.congestion, callees.redirects,
            _made(callees.answers_late, chance.randint(1, 6)), callees.mute,
        ]  # fmt: skip
        group = chance.choice([presses, presses, talks, *([] if declared.inbound else [unreached])])
        behaves = chance.choice(group)
        kind = behaves(0).number[:-2]
        self._used[kind] += 1
        if group is unreached:
            self._unreached.add(kind)
        return behaves((self._used[kind] - 1) % (SERIALS - BARRED_BEFORE))


def _made(of: Callable[..., Callee], *arguments: object) -> Callable[[int], Callee]:
    return lambda serial: of(*arguments, serial)


def _faults(chance: random.Random, seconds: float, kinds: Sequence[Fault]) -> tuple[PlannedFault, ...]:
    """Each kind comes once before any comes again, in a new order each time."""
    made: list[PlannedFault] = []
    bag = itertools.chain.from_iterable(chance.sample(kinds, len(kinds)) for _ in itertools.count())
    at = FIRST_FAULT_SECONDS
    for kind in bag:
        lasts = chance.uniform(*LASTS[kind])
        if at + lasts > seconds - QUIET_END_SECONDS:
            break
        made.append(PlannedFault(at, lasts, kind, _step(chance, kind)))
        if chance.random() < TOGETHER:
            at += chance.uniform(0.0, lasts)
        else:
            at += lasts + chance.uniform(*BETWEEN_FAULTS_SECONDS)
    return tuple(made)


def _step(chance: random.Random, kind: Fault) -> int:
    return chance.choice(CLOCK_STEPS) if kind is Fault.STEP_CLOCK else 0
