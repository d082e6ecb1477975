"""Faults of a policy file, for the person who corrects it: the line, the key, what is wrong and what is allowed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ccari.policy.declared import ContradictionError, Declared
from ccari.policy.places import Path, Places, headers

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "tuple_type": 'must be a list such as ["…", "…"]',
    "dict_type": "must be a table",
}
#: By pydantic's kind of error, where a table or a list of tables belongs.
_OF_TABLES = {"model_type": "must be a table", "tuple_type": "must be a list of tables"}
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
#: The most characters of a key. Longer keys, which can only be made up, are cut short.
_LONGEST_KEY = 80
_TWICE = re.compile(r"overwrite|[Dd]uplicate|twice")
#: tomllib's words for what follows a ``=`` and is no value: quotes from a word processor, or none.
_NO_VALUE = "Invalid value"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a policy file. ``line`` counts from 1. It is None, and ``key`` empty, if the fault has no position."""

    line: int | None
    key: str
    words: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (place, self.key, self.words) if part)


def of_syntax(text: str, message: str, model: type[Declared]) -> Fault:
    """The fault that tomllib reports in ``message`` about the ``text`` of a ``model``. Quotes only the key of the line: the rest may
    contain anything.
    """
    at = _AT.search(message)
    lines = text.split("\n")
    line = None
    if at is not None:
        # tomllib says "end of document" for an unfinished text: the fault is then on the last line that is not blank
        line = int(at[1]) if at[1] else len("\n".join(lines).rstrip().split("\n"))
    reason = _AT.sub("", message)
    if line is not None and _TWICE.search(reason):
        twice = Fault(line, _shortened(lines[line - 1].partition("=")[0].strip()), "is declared twice")
        return _wrong_header(text, model, line) or twice
    return Fault(line, "", f"is not TOML: {with_advice(reason)}" if line else f"not TOML: {reason}")


def with_advice(reason: str) -> str:
    """What tomllib says, and what to do where that is not clear from it."""
    if reason.startswith(_NO_VALUE):
        return f'{reason}: text needs straight quotes, as in "acme"; true and false have no quotes and small letters'
    return reason


def _wrong_header(text: str, model: type[Declared], before: int) -> Fault | None:
    """The first header up to the line ``before`` that is why a table seems to be declared twice: of an unknown table, or of one in
    single brackets of which there may be several.
    """
    for line, names, is_one_of_many in headers(text):
        if line > before:
            break
        name = names[0]
        if name not in model.model_fields:
            return Fault(line, _shortened(name), _unknown(model, (name,)))
        if len(names) == 1 and not is_one_of_many and _holds_tables(model, names):
            return Fault(line, name, _in_double_brackets(name))
    return None


def of_validation(
    text: str, document: Mapping[str, Any], model: type[Declared], error: ValidationError
) -> list[Fault]:
    """The faults that pydantic found in ``document``, the parsed ``text``, when it validated it as a ``model``, from the top down."""
    faults: list[Fault] = []
    places = Places(text)
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] == "default_factory_not_called":
            # the key's default depends on a wrong key, which has its own fault
            continue
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            faults += [
                _fault_at(places, document, (*detail["loc"], *path), words)
                for path, words in cause.contradictions
            ]
        else:
            faults.append(_fault_at(places, document, detail["loc"], _words(model, detail)))
    return sorted(faults, key=lambda fault: fault.line or 0)


def _fault_at(places: Places, document: Mapping[str, Any], loc: Path, words: str) -> Fault:
    path = _as_written(document, loc)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{_shortened(part)}" for part in path)
    return Fault(places.line_of(path), key.removeprefix("."), words)


def _shortened(name: str) -> str:
    if len(name) > _LONGEST_KEY:
        name = f"{name[:_LONGEST_KEY]}…"
    return name if name.isprintable() else repr(name)


def _as_written(document: Mapping[str, Any], loc: Path) -> Path:
    """The path as written in the file. pydantic's path has an index even for a single table, and a mark for keys."""
    path: Path = ()
    here: Any = document
    for part in loc:
        if part == "[key]" or (isinstance(part, int) and not isinstance(here, list)):
            continue
        path = (*path, part)
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
    return path


def _words(model: type[Declared], error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(model, error["loc"])
    if error["type"] == "tuple_type" and _holds_tables(model, error["loc"]):
        return _in_double_brackets(error["loc"][-1])
    if error["type"] in _OF_TABLES and (table := _table_at(model, error["loc"])):
        return f"{_OF_TABLES[error['type']]} with {', '.join(_keys(table))}"
    message = error["msg"].removeprefix("Value error, ")
    return _WORDS.get(error["type"]) or re.sub(r"^(Input|String|Value) should", "must", message)


def _unknown(model: type[Declared], loc: Path) -> str:
    return f"is not a known key; known are {', '.join(_keys(_table_at(model, loc[:-1]) or model))}"


def _in_double_brackets(name: int | str) -> str:
    return f"write [[{name}]], in double brackets, for each"


def _holds_tables(model: type[Declared], loc: Path) -> bool:
    """Whether the key is at the top of the file and holds tables, such as ``campaigns``."""
    return len(loc) == 1 and _table_at(model, loc) is not None


def _keys(table: type[Declared]) -> list[str]:
    return [field.alias or name for name, field in table.model_fields.items()]


def _table_at(model: type[Declared], loc: Path) -> type[Declared] | None:
    """The table that the key at ``loc`` declares or lists; None if it is another value."""
    found: type[Declared] | None = None
    for part in loc:
        if isinstance(part, int):
            continue
        fields = [field for name, field in model.model_fields.items() if part in {name, field.alias}]
        found = _table_in(fields[0].annotation) if fields else None
        model = found or model
    return found


def _table_in(annotation: Any) -> type[Declared] | None:
    """The first model in an annotation such as ``tuple[Campaign, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return annotation
    return next((table for part in get_args(annotation) if (table := _table_in(part))), None)
