"""A scenario: who calls whom, how each behaves, and what must be observed from outside. Each has a folder."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ccari.policy.call import Direction
from tests.lab import Callee, callees

FOLDER = Path(__file__).parent
FILE_NAME = "scenario.toml"
#: How many numbers there are for each kind of callee.
SERIALS = 100


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Behaviour(_Table):
    """A callee of :mod:`tests.lab.callees`: the name of its function and its arguments, without the serial."""

    does: str = "answers"
    arguments: tuple[int | str, ...] = ()

    def callee(self, serial: int) -> Callee:
        made: Callee = getattr(callees, self.does)(*self.arguments, serial)
        return made


class Expected(_Table):
    """What must be observed. ``heard`` and ``unheard``: prompts, by id, that the callee hears, and does not hear;
    ``agent_heard``: those that the agent hears.

    ``ringing``: the callee, who has answered, hears an agent's phone ring. ``holds``: how often either phone put the
    call on hold. ``events``: events of the call's journal, in this order, among others; ``never``: none of these.
    ``talk``: the two hear each other. ``recordings``: their states, in order; ``silent``: who is no longer in one when
    it ends. ``rights``: registered requests, with how they came in. ``told``: the reason that the dialplan gets for a
    bridged call, if it is not the call's own. ``colleague_heard`` and ``colleague_unheard``: prompts that the colleague
    to whom the call was transferred hears, and does not hear. ``uninvited``: numbers of others that nobody dials.
    ``next``: the gate's answer for the number afterwards.
    """

    outcome: str
    reason: str = ""
    invites: Annotated[int, Field(ge=0)] = 1
    uninvited: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    heard: tuple[str, ...] = ()
    ringing: bool = False
    unheard: tuple[str, ...] = ()
    agent_heard: tuple[str, ...] = ()
    colleague_heard: tuple[str, ...] = ()
    colleague_unheard: tuple[str, ...] = ()
    told: str | None = None
    holds: Annotated[int, Field(ge=0)] = 0
    talk: bool = False
    recordings: tuple[str, ...] = ()
    silent: tuple[Literal["agent", "callee"], ...] = ()
    rights: dict[str, Literal["key", "agent"]] = Field(default_factory=dict)
    next: str | None = None


class Scenario(_Table):
    """``summary``: what happens, in one line, for the list of scenarios.

    ``agent``: what the agent's phone does; in ``agent_first`` and ``inbound`` calls it is the phone that is rung,
    and in ``callee_first`` ones the campaign names it. ``agent_leaves_at``: the event at which an agent who dialled
    hangs up. ``colleague``: the phone to which the agent's phone transfers the call. ``greeted``: the pbx answers
    callers by itself, and passes them on two seconds later. ``asserted``: the provider tells the centre a number
    that is ``withheld``. ``suppressed``: the bar on the number beforehand; ``source``: the known source of the
    number.
    """

    name: str
    summary: str
    direction: Direction = Direction.OUTBOUND
    campaign: str = "renewals"
    callee: Behaviour = Behaviour()
    agent: str = "drops-3"
    agent_leaves_at: str | None = None
    colleague: str | None = None
    withheld: bool = False
    asserted: bool = False
    greeted: bool = False
    suppressed: str | None = None
    consented: bool = False
    source: str | None = None
    expect: Expected

    def claims(self, serial: int) -> tuple[Callee, set[object]]:
        """The callee of a serial, and the claims that it may share with no other scenario's."""
        callee = self.callee.callee(serial)
        others = {callees.answers(serial).number} if self.callee.does == "redirects" else set[str]()
        return callee, {callee.number, (self.campaign, callee.number[-4:]), *others}


def read(folder: Path) -> Scenario:
    document: dict[str, Any] = tomllib.loads((folder / FILE_NAME).read_text("utf-8"))
    return Scenario.model_validate({"name": folder.name, **document})


def scenarios() -> list[Scenario]:
    """All scenarios, by name."""
    return [read(file.parent) for file in sorted(FOLDER.glob(f"*/{FILE_NAME}"))]


def cast(played: Iterable[Scenario]) -> dict[str, Callee]:
    """The callee of each scenario, by its name. Each has a number of its own, although serials are few.

    A log line shows a campaign and four digits, so this pair is unique to a call too, as is the number that a
    redirection leads to. A ValueError names the scenario for which no number is left.
    """
    taken: set[object] = set()
    found: dict[str, Callee] = {}
    for each in played:
        for callee, claims in map(each.claims, range(SERIALS)):
            if not claims & taken:
                taken |= claims
                found[each.name] = callee
                break
        else:
            raise ValueError(f"all numbers of who {each.callee.does} are taken: {each.name} has none")
    return found
