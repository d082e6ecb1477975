"""Where a dialplan can lead: parses the output of ``dialplan show`` and follows it as Asterisk would.

Where a condition cannot be decided, it follows both branches. It assumes that an unknown application dials.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tests.lab.errors import LabError

HARMLESS = frozenset(
    {"amd", "answer", "log", "mixmonitor", "noop", "playback", "stopmixmonitor", "wait", "waitforsilence"}
)
ENDS = frozenset({"busy", "congestion", "hangup"})

_CONTEXT = re.compile(r"\[ Context '([^']+)' created by '[^']+' \]")
_STEP = re.compile(r"  (?:'([^']*)' =>|   \[(\w+)\]|)\s+(\d+)\. (\w+)\((.*)\)\s+\[[^\]]+\]")
_COMPARISON = re.compile(r'\$\["\$\{(\w+)\}" (!?=) "(\w*)"\]')
_NULL = re.compile(r"\$\{ISNULL\(\$\{(\w+)\}\)\}")


@dataclass(frozen=True)
class Step:
    """One priority."""

    label: str | None
    app: str
    data: str


Dialplan = Mapping[str, Mapping[str, Mapping[int, Step]]]
"""Steps by context, extension and priority."""


@dataclass(frozen=True)
class Place:
    context: str
    exten: str
    priority: int = 1

    def __str__(self) -> str:
        return f"{self.context},{self.exten},{self.priority}"


@dataclass(frozen=True)
class State:
    """A channel at a place. ``known``: the variables whose values are known; ``allowed``: whether the gate allowed the
    call.
    """

    place: Place
    known: Mapping[str, str]
    stack: tuple[Place, ...] = ()
    allowed: bool = False

    @property
    def key(self) -> tuple[Place, frozenset[tuple[str, str]], tuple[Place, ...], bool]:
        return self.place, frozenset(self.known.items()), self.stack, self.allowed


@dataclass(frozen=True)
class Way:
    """Where a channel ends up: it ``dials``, or ``leaves`` for a place that is not known, at ``step``."""

    what: str
    state: State
    step: Step

    def __str__(self) -> str:
        return f"{self.what} by {self.step.app}({self.step.data}) at {self.state.place}"


def read(shown: str) -> Dialplan:
    """The contexts in the output of one or more ``dialplan show CONTEXT``."""
    plan: dict[str, dict[str, dict[int, Step]]] = {}
    context, exten = "", ""
    for line in shown.splitlines():
        if found := _CONTEXT.fullmatch(line):
            context = found[1]
            plan[context] = {}
        elif found := _STEP.fullmatch(line):
            exten = found[1] if found[1] is not None else exten
            plan[context].setdefault(exten, {})[int(found[3])] = Step(found[2], found[4], found[5])
        elif re.match(r"\s+(?!Include =>)\S", line):
            raise LabError(f"dialplan show says what cannot be read: {line.strip()}")
    return plan


def follow(plan: Dialplan, start: Place, known: Mapping[str, str], outcomes: frozenset[str]) -> Iterator[Way]:
    """Every way out from ``start``. ``outcomes``: the values that ``CCARI_OUTCOME`` may have after Stasis."""
    waiting, seen = [State(start, dict(known))], set()
    while waiting:
        state = waiting.pop()
        if state.key in seen:
            continue
        seen.add(state.key)
        for found in _Walk(plan, state, outcomes).on():
            if isinstance(found, Way):
                yield found
            else:
                waiting.append(found)


class _Walk:
    """One step of one channel."""

    def __init__(self, plan: Dialplan, state: State, outcomes: frozenset[str]) -> None:
        self._plan = plan
        self._state = state
        self._outcomes = outcomes

    def on(self) -> Iterator[State | Way]:
        place = self._state.place
        step = self._plan[place.context][place.exten].get(place.priority)
        if step is not None:
            yield from self._do(step)
        elif place.context.startswith("macro-"):
            # at its end, control returns to the caller of the Macro
            yield Way("leaves", self._state, Step(None, "MacroExit", ""))

    def _do(self, step: Step) -> Iterable[State | Way]:
        app = step.app.lower()
        if app in HARMLESS:
            return [self._next()]
        if app in ENDS:
            context = self._state.place.context
            return [replace(self._state, place=Place(context, "h"))] if "h" in self._plan[context] else []
        known = {
            "agi": self._agi,
            "execif": self._exec_if,
            "gosub": self._gosub,
            "goto": lambda step: self._jump(step, step.data, self._state),
            "gotoif": self._goto_if,
            "macroexit": lambda step: [Way("leaves", self._state, step)],
            "return": self._return,
            "set": self._set,
            "stasis": self._stasis,
        }
        return known.get(app, self._dial)(step)

    def _dial(self, step: Step) -> Iterator[State | Way]:
        """The gate allows one dial."""
        yield Way("dials", self._state, step)
        yield replace(self._next(), allowed=False)

    def _goto_if(self, step: Step) -> Iterator[State | Way]:
        condition, _, targets = step.data.partition("?")
        first, _, second = targets.partition(":")
        for target in self._branches(condition, first, second):
            yield from self._jump(step, target, self._state) if target else [self._next()]

    def _exec_if(self, step: Step) -> Iterator[State | Way]:
        condition, _, app = step.data.partition("?")
        for each in self._branches(condition, app, "NoOp()"):
            name, _, data = each.partition("(")
            yield from self._do(Step(None, name, data.removesuffix(")")))

    def _gosub(self, step: Step) -> Iterator[State | Way]:
        target = re.sub(r"\(.*\)$", "", step.data)
        state = replace(self._state, stack=(*self._state.stack, self._next().place))
        return self._jump(step, target, self._with(state, ARGC=None))

    def _return(self, step: Step) -> Iterator[State | Way]:
        if not self._state.stack:
            yield Way("leaves", self._state, step)
            return
        *stack, back = self._state.stack
        yield replace(self._state, place=back, stack=tuple(stack))

    def _set(self, step: Step) -> Iterator[State | Way]:
        name, _, value = step.data.partition("=")
        name = re.sub(r"^_*(?:LOCAL\((\w+)\))?", r"\1", name)
        yield self._next(**{name: None if "$" in value else value})

    def _stasis(self, _: Step) -> Iterator[State | Way]:
        """Stasis returns at once if no application is there; otherwise with an outcome, a reason and a call."""
        yield self._next()
        for outcome in self._outcomes:
            yield self._next(CCARI_OUTCOME=outcome, CCARI_REASON=None, CCARI_CALL=None)

    def _agi(self, step: Step) -> Iterator[State | Way]:
        """AGI may set no variables at all, and may time out before or after it set them."""
        after = [self._next()]
        if re.search(r"/gate(\?[^,]*)?,", step.data):
            after += [self._next(CCARI_VERDICT="DENY")]
            after += [replace(self._next(CCARI_VERDICT="ALLOW"), allowed=True)]
        elif re.search(r"/alive(\?|$)", step.data):
            after += [self._next(CCARI_ALIVE="yes")]
        yield from after
        if "T" in self._plan[self._state.place.context]:
            yield from (replace(each, place=Place(each.place.context, "T")) for each in after)

    def _jump(self, step: Step, target: str, state: State) -> Iterator[State | Way]:
        parts = target.split(",")
        context, exten = state.place.context, state.place.exten
        if len(parts) > 1:
            exten = parts[-2]
        if len(parts) > 2:
            context = parts[-3]
        if context not in self._plan or "$" in parts[-1]:
            yield Way("leaves", replace(state, stack=self._state.stack), step)
            return
        for each in self._matching(context, exten):
            yield replace(state, place=Place(context, each, self._priority(context, each, parts[-1])))

    def _matching(self, context: str, exten: str) -> list[str]:
        extens = self._plan[context]
        if exten in extens:
            return [exten]
        found = [each for each in extens if each not in {"T", "h"} and ("$" in exten or each.startswith("_"))]
        if not found:
            raise LabError(f"{self._state.place} leads to {context},{exten}, which there is not")
        return found

    def _priority(self, context: str, exten: str, wanted: str) -> int:
        if wanted.isdigit():
            return int(wanted)
        for priority, step in self._plan[context][exten].items():
            if step.label == wanted:
                return priority
        raise LabError(f"{self._state.place} leads to {wanted} in {context},{exten}, which there is not")

    def _branches(self, condition: str, if_true: str, if_false: str) -> list[str]:
        known = self._state.known
        if (found := _COMPARISON.fullmatch(condition)) and found[1] in known:
            return [if_true if (known[found[1]] == found[3]) == (found[2] == "=") else if_false]
        if (found := _NULL.fullmatch(condition)) and found[1] in known:
            return [if_false if known[found[1]] else if_true]
        return [if_true, if_false]

    def _next(self, **changed: str | None) -> State:
        place = self._state.place
        return self._with(replace(self._state, place=replace(place, priority=place.priority + 1)), **changed)

    @staticmethod
    def _with(state: State, **changed: str | None) -> State:
        known = {name: value for name, value in {**state.known, **changed}.items() if value is not None}
        return replace(state, known=known)
