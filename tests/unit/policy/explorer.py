"""Breadth-first search of everything that can happen in a call.

A state is a call with the world around it. Each call is met in several worlds, and each world around several calls: what an
event makes of either is worked out once.
"""

import contextlib
import gc
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from ccari.policy.call import Call, Command, Direction, Event, Outcome, Party, Stage, Timer, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from tests.unit.policy.invariants import contradictory, forbidden, ignored, out_of_place
from tests.unit.policy.merging import merge, same
from tests.unit.policy.sending import helpful, possible
from tests.unit.policy.takenup import wrongly_left, wrongly_taken_up
from tests.unit.policy.world import World, ask, beginning, send

#: Events that change nothing, whenever they come.
_NOTHING: tuple[Event, ...] = (
    *(on.Failed(kind(party)) for kind in (do.Ring, do.StopRinging) for party in Party),
    on.Failed(do.StopPlaying()),
    on.Failed(do.ShowCard()),
    on.Failed(do.Part()),
    on.Failed(do.UseLanguage("en")),
    on.Failed(do.TellDialplan(Outcome.AGENT_HANGUP, "")),
    *(on.Played("never_asked_for", whole=True, party=party) for party in Party),
    on.TimeRanOut(Timer.KEEP),
)
#: Events that are answered, even if they change nothing.
_ANSWERED = (on.KeyPressed, on.AgentKeyPressed, on.RightVoiced, on.TransferAsked)
_LAST_RESORT = on.TimeRanOut(Timer.CLOSE)
#: Far more states than any campaign here has: an endless walk fails instead of hanging.
_MOST_STATES = 50_000


@dataclass
class Exploration:
    """What a walk found. ``breaches``: the shortest way to each breach, by its name."""

    states: int = 0
    transitions: int = 0
    breaches: dict[str, list[Event]] = field(default_factory=dict)
    outcomes: set[Outcome] = field(default_factory=set)
    stages: set[Stage] = field(default_factory=set)
    #: Ways to states from which even a well-behaved world does not bring the call to its end.
    dead_ends: list[list[Event]] = field(default_factory=list)
    #: Worlds in which only the timer of the last stage ends the call, although the world behaves well.
    last_resorts: list[World] = field(default_factory=list)
    #: Ways to states that an event changed although it must change nothing.
    stirred: list[list[Event]] = field(default_factory=list)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Search for garbage only at the end: a walk makes none while it lasts, but some hundred thousand objects to look at each time. They
    refer to each other; what all walks had left, a million of them, held up a later test for more than five seconds.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@_uncollected()
def explore(
    campaign: Campaign, direction: Direction, strange: str = "", *, holds: bool = False
) -> Exploration:
    """Send every possible event to every state that can be reached from the request of a call."""
    walk = _Walk(campaign, direction, strange, holds=holds)
    while walk.ahead:
        if len(walk.states) > _MOST_STATES:
            raise AssertionError(f"more than {_MOST_STATES} states: something grows without end")
        walk.visit(walk.ahead.popleft())
    walk.follow()
    walk.found.states = len(walk.states)
    return walk.found


class _Explored(Campaign):
    """Other campaigns have no hash, because they contain dicts. A walk knows only one."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return 0


@dataclass(eq=False, slots=True)
class _Move:
    """All that a step of the call means to the world around it, and to what is forbidden there."""

    before: Stage
    after: Stage
    commands: tuple[Command, ...]


@dataclass(eq=False, slots=True)
class _Met:
    """A call, in whatever worlds it is met. ``kind``: the same for calls that nothing can distinguish; ``wrong``: what must not
    be true of it; ``steps``: by the number of an event, the call after it, and the move.
    """

    call: Call
    kind: int
    wrong: tuple[str, ...]
    steps: "dict[int, tuple[_Met, _Move]]" = field(default_factory=dict)
    examined: bool = False


@dataclass(eq=False, slots=True)
class _Around:
    """A world, around whatever calls. ``sends``: each event that is possible, with its number, and the world after it;
    ``helpful``: the numbers of what a well-behaved world sends; ``becomes``: by the number of an event and the move that
    answers it, the world after both, or the names of what they break.
    """

    world: World
    sends: list[tuple[int, Event, World]]
    helpful: list[int]
    becomes: "dict[tuple[int, _Move], _Around | tuple[str, ...]]" = field(default_factory=dict)


class _Walk:
    def __init__(self, campaign: Campaign, direction: Direction, strange: str, *, holds: bool) -> None:
        self.campaign = _Explored.model_validate(vars(campaign))
        self._strange = strange
        self._holds = holds
        self.found = Exploration()
        self._events: dict[Event, int] = {}
        self._kinds: dict[Hashable, int] = {}
        self._moves: dict[tuple[Stage, Stage, tuple[Command, ...]], _Move] = {}
        self._calls: dict[Call, _Met] = {}
        self._worlds: dict[World, _Around] = {}
        self.states: list[tuple[_Met, _Around]] = []
        self.ahead: deque[int] = deque()
        self._numbers: dict[tuple[int, _Around], int] = {}
        self._ways: list[tuple[int, Event] | None] = []
        self._onward: dict[int, tuple[int, int]] = {}
        call, (command,) = decide(Call(), on.CallRequested(direction))
        self._number(self._met(call), self._around(ask(beginning(direction), command)), way=None)
        # the agent's codes work only in the talk; the callee's keys work as soon as there is a call
        codes = "".join(campaign.agent_keys)
        self._unheard = tuple(on.AgentKeyPressed(key) for key in sorted({*codes, "*"}))

    def visit(self, here: int) -> None:
        """Send every possible event to one state."""
        met, around = self.states[here]
        if not met.examined:
            self._examine(here)
        if met.call.stage is Stage.CLOSED:
            return
        self.found.transitions += len(around.sends)
        leads: dict[int, int] = {}
        for number, event, sent in around.sends:
            after, move = met.steps.get(number) or self._step(met, number, event)
            unchanged = after is met and sent is around.world and not move.commands
            if unchanged and not isinstance(event, _ANSWERED):
                continue
            became = around.becomes.get((number, move))
            if became is None:
                became = around.becomes[number, move] = self._judge(around.world, event, sent, move)
            if after.wrong or isinstance(became, tuple):
                # beyond a breach nothing is worth exploring
                for name in (*after.wrong, *(became if isinstance(became, tuple) else ())):
                    self.found.breaches.setdefault(name, [*self._way(here), event])
                continue
            there = self._number(after, became, way=(here, event))
            if there != here:
                leads.setdefault(number, there)
        helps = next((number for number in around.helpful if number in leads), None)
        if helps is not None:
            self._onward[here] = helps, leads[helps]

    def _examine(self, here: int) -> None:
        """See what must be true of a call in whatever world."""
        met, around = self.states[here]
        met.examined = True
        call = met.call
        self.found.stages.add(call.stage)
        nothing: Iterable[Event] = (*_NOTHING, *self._unheard)
        if call.stage is Stage.CLOSED:
            nothing = (event for _, event, _ in around.sends)
        elif call.stage is Stage.TALK:
            nothing = _NOTHING
            for name in (*wrongly_left(call), *wrongly_taken_up(self.campaign, call)):
                self.found.breaches.setdefault(name, self._way(here))
        if any(decide(call, event) != (call, []) for event in nothing):
            self.found.stirred.append(self._way(here))

    def _met(self, call: Call) -> _Met:
        met = self._calls.get(call)
        if met is None:
            kind = self._kinds.setdefault(same(call), len(self._kinds))
            met = self._calls[call] = _Met(call, kind, tuple(contradictory(call)))
        return met

    def _around(self, world: World) -> _Around:
        around = self._worlds.get(world)
        if around is None:
            events = possible(world, self.campaign, self._strange, holds=self._holds)
            around = self._worlds[world] = _Around(
                world,
                sends=[(self._event(event), event, send(world, event, self.campaign)) for event in events],
                helpful=[self._event(event) for event in helpful(world, self.campaign)],
            )
        return around

    def _event(self, event: Event) -> int:
        """Its number: finding an event by itself would take longer than the step."""
        return self._events.setdefault(event, len(self._events))

    def _step(self, met: _Met, number: int, event: Event) -> tuple[_Met, _Move]:
        after, commands = decide(met.call, event)
        key = met.call.stage, after.stage, tuple(commands)
        move = self._moves.get(key)
        if move is None:
            move = self._moves[key] = _Move(*key)
        step = met.steps[number] = (met if after is met.call else self._met(after)), move
        return step

    def _judge(self, was: World, event: Event, world: World, move: _Move) -> _Around | tuple[str, ...]:
        """The world after all that is asked of it; after a breach its names."""
        names = list(ignored(self.campaign, was, event, move.commands))
        for command in move.commands:
            names += forbidden(self.campaign, world, command)
            world = ask(world, command)
            if isinstance(command, do.CloseCall):
                self.found.outcomes.add(command.outcome)
        if isinstance(event, on.Bridged) or move.after is not Stage.TALK:
            # a callee who is bid farewell no longer talks: the only fact about the call that the world is told
            world = world._replace(talking=move.after is Stage.TALK)
        names += out_of_place(self.campaign, move.before, event, move.after, world, move.commands)
        return tuple(names) or self._around(merge(self.campaign, move.after, world))

    def _number(self, met: _Met, around: _Around, *, way: tuple[int, Event] | None) -> int:
        key = met.kind, around
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.states)
            self.states.append((met, around))
            self._ways.append(way)
            self.ahead.append(number)
        return number

    def _way(self, state: int) -> list[Event]:
        """The events that led to a state."""
        way: list[Event] = []
        while (step := self._ways[state]) is not None:
            state, event = step
            way.append(event)
        return way[::-1]

    def follow(self) -> None:
        """From each state go on as a well-behaved world does, and check that the call ends."""
        ends = {number for number, (met, _) in enumerate(self.states) if met.call.stage is Stage.CLOSED}
        last_resort = self._event(_LAST_RESORT)
        for start in range(len(self.states)):
            trail, here = {start}, start
            while here not in ends and here in self._onward:
                here = self._onward[here][1]
                if here in trail:
                    break
                trail.add(here)
            if here in ends:
                ends |= trail
            else:
                self.found.dead_ends.append(self._way(start))
            if start in self._onward and self._onward[start][0] == last_resort:
                self.found.last_resorts.append(self.states[start][1].world)
