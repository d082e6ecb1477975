"""What the code logs, as it stands in the source: names, levels and fields."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

CCARI = Path(__file__).parents[2] / "ccari"
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
#: Of the journal's own log call, whose event is whatever is noted; and of the processor that marks other libraries' lines.
_PASSED_ON = {"gating/journal.py", "calls/runner.py"}


@dataclass(frozen=True)
class Logged:
    """One place in the code. ``fields`` is None where the source does not show them all; ``in_call``: the journal of a call
    logs it, with what it is bound to.
    """

    name: str
    level: str
    fields: frozenset[str] | None
    in_call: bool
    place: str


def logged(folder: Path = CCARI) -> Iterator[Logged]:
    """Every place. Raises AssertionError for one whose event is not to be read."""
    for path in sorted(folder.rglob("*.py")):
        yield from _Reader(path.relative_to(folder).as_posix(), ast.parse(path.read_text("utf-8"))).logged()


class _Reader:
    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module = module
        self._tree = tree
        self._functions = [
            each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        ]

    def logged(self) -> Iterator[Logged]:
        for call in ast.walk(self._tree):
            if not isinstance(call, ast.Call):
                continue
            place = f"{self._module}:{call.lineno}"
            for level in _levels(call.func):
                yield from self._of(call, level, self._keywords(call), in_call=False, place=place)
            if _notes(call.func):
                given = call.args[1] if len(call.args) > 1 else ast.Dict([], [])
                yield from self._of(call, "info", self._keys(given, call), in_call=True, place=place)

    def _of(
        self, call: ast.Call, level: str, fields: frozenset[str] | None, *, in_call: bool, place: str
    ) -> Iterator[Logged]:
        match call.args:
            case [ast.Constant(str(name)), *_]:
                yield Logged(name, level, fields, in_call, place)
            case _ if self._module not in _PASSED_ON:
                raise AssertionError(f"{place}: an event is named by a literal, so that it can be looked up")

    def _keywords(self, call: ast.Call) -> frozenset[str] | None:
        found: set[str] = set()
        for each in call.keywords:
            more = frozenset({each.arg}) if each.arg is not None else self._keys(each.value, call)
            if more is None:
                return None
            found |= more
        return frozenset(found)

    def _keys(self, node: ast.expr, at: ast.AST) -> frozenset[str] | None:
        """The keys of a dict that is written out, here or as what the function calls by this name."""
        match node:
            case ast.Dict(keys=keys):
                found = [each.value for each in keys if isinstance(each, ast.Constant)]
                return frozenset(map(str, found)) if len(found) == len(keys) else None
            case ast.IfExp(body=body, orelse=orelse):
                either = [self._keys(each, at) for each in (body, orelse)]
                return None if None in either else frozenset().union(*filter(None, either))
            case ast.Name(id=name):
                for value in self._assigned(name, at):
                    return self._keys(value, at)
        return None

    def _assigned(self, name: str, at: ast.AST) -> Iterator[ast.expr]:
        around = [each for each in self._functions if any(inner is at for inner in ast.walk(each))]
        for function in reversed(around):
            for each in ast.walk(function):
                if isinstance(each, ast.Assign) and any(
                    isinstance(target, ast.Name) and target.id == name for target in each.targets
                ):
                    yield each.value


def _levels(function: ast.expr) -> Iterator[str]:
    match function:
        case ast.IfExp(body=body, orelse=orelse):
            yield from _levels(body)
            yield from _levels(orelse)
        case ast.Attribute(value=ast.Name(id="_log") | ast.Attribute(attr="_log"), attr=attr) if (
            attr in LEVELS
        ):
            yield LEVELS[attr]


def _notes(function: ast.expr) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id="do"), attr="Note"):
            return True
        case ast.Attribute(value=ast.Name(id="journal") | ast.Attribute(attr="_journal"), attr="note"):
            return True
    return False


def by_name(found: Iterator[Logged]) -> Mapping[str, list[Logged]]:
    told: dict[str, list[Logged]] = {}
    for each in found:
        told.setdefault(each.name, []).append(each)
    return dict(sorted(told.items()))
