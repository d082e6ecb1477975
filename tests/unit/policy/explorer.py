"""Breadth-first search of everything that can happen in a call."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ccari.policy.call import Call, Command, Direction, Event, Outcome, Party, Stage, Timer, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from tests.unit.policy.invariants import forbidden, ignored, out_of_place
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


class _Walk:
    def __init__(self, campaign: Campaign, direction: Direction, strange: str, *, holds: bool) -> None:
        self.campaign = campaign
        self._strange = strange
        self._holds = holds
        self.found = Exploration()
        call, (command,) = decide(Call(), on.CallRequested(direction))
        self.states = [(call, ask(beginning(direction), command))]
        self.ahead = deque([0])
        self._numbers = {same(*self.states[0]): 0}
        self._ways: list[tuple[int, Event] | None] = [None]
        self._onward: dict[int, tuple[Event, int]] = {}
        # the agent's codes work only in the talk; the callee's keys work as soon as there is a call
        codes = "".join(campaign.agent_keys)
        self._unheard = tuple(on.AgentKeyPressed(key) for key in sorted({*codes, "*"}))

    def visit(self, here: int) -> None:
        """Send every possible event to one state."""
        call, world = self.states[here]
        self.found.stages.add(call.stage)
        if call.stage is Stage.CLOSED:
            if any(decide(call, event) != (call, []) for event in self._possible(world)):
                self.found.stirred.append(self._way(here))
            return
        if call.stage is Stage.TALK:
            for name in (*wrongly_left(call), *wrongly_taken_up(self.campaign, call)):
                self.found.breaches.setdefault(name, self._way(here))
        unheard = () if call.stage is Stage.TALK else self._unheard
        if any(decide(call, event) != (call, []) for event in (*_NOTHING, *unheard)):
            self.found.stirred.append(self._way(here))
        leads: list[tuple[Event, int]] = []
        for event in self._possible(world):
            self.found.transitions += 1
            after, commands = decide(call, event)
            sent = send(world, event, self.campaign)
            if after is call and not commands and sent is world:
                continue
            asked = self._judge(here, event, sent, commands, after)
            if asked is not None:
                there = self._number(after, merge(after, asked), way=(here, event))
                if there != here:
                    leads.append((event, there))
        for event in helpful(world, self.campaign):
            lead = next((lead for lead in leads if lead[0] == event), None)
            if lead is not None:
                self._onward[here] = lead
                break

    def _possible(self, world: World) -> Iterator[Event]:
        return possible(world, self.campaign, self._strange, holds=self._holds)

    def _judge(
        self, here: int, event: Event, world: World, commands: list[Command], after: Call
    ) -> World | None:
        """The world after all of ``commands``; None after a breach, beyond which nothing is worth exploring."""
        before, was = self.states[here]
        names = list(ignored(self.campaign, was, event, commands))
        for command in commands:
            names += forbidden(self.campaign, world, command)
            world = ask(world, command)
            if isinstance(command, do.CloseCall):
                self.found.outcomes.add(command.outcome)
        if isinstance(event, on.Bridged) or after.stage is not Stage.TALK:
            # a callee who is bid farewell no longer talks: the only fact about the call that the world is told
            world = world._replace(talking=after.stage is Stage.TALK)
        names += out_of_place(self.campaign, before, event, after, world, commands)
        for name in names:
            if name not in self.found.breaches:
                self.found.breaches[name] = [*self._way(here), event]
        return None if names else world

    def _number(self, call: Call, world: World, *, way: tuple[int, Event]) -> int:
        key = same(call, world)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.states)
            self.states.append((call, world))
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
        ends = {number for number, (call, _) in enumerate(self.states) if call.stage is Stage.CLOSED}
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
            if start in self._onward and self._onward[start][0] == _LAST_RESORT:
                self.found.last_resorts.append(self.states[start][1])
