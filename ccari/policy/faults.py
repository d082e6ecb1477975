"""What is wrong in a policy file, in words for who mends it: the line, the key, what is wrong and what is allowed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ccari.policy.declared import ContradictionError, Declared
from ccari.policy.places import Path, Places

_WORDS = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "tuple_type": 'must be a list such as ["…", "…"]',
    "model_type": "must be a table",
    "dict_type": "must be a table",
}
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
#: Of a key that somebody made up, so much is told.
_LONGEST_KEY = 80
_TWICE = re.compile(r"overwrite|[Dd]uplicate|twice")


@dataclass(frozen=True, slots=True)
class Fault:
    """``line`` counts from 1; None, and an empty ``key``, where the fault has no place of its own."""

    line: int | None
    key: str
    words: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (place, self.key, self.words) if part)


def of_syntax(text: str, message: str) -> Fault:
    """The fault that tomllib tells, with the words of the line left out: it may hold anything."""
    at = _AT.search(message)
    lines = text.split("\n")
    line = None
    if at is not None:
        # of an unfinished end, the last line that says something
        line = int(at[1]) if at[1] else len("\n".join(lines).rstrip().split("\n"))
    said = _AT.sub("", message)
    if line is not None and _TWICE.search(said):
        return Fault(line, _shown(lines[line - 1].partition("=")[0].strip()), "is there already")
    return Fault(line, "", f"is not TOML: {said}" if line else f"not TOML: {said}")


def of_validation(
    text: str, document: Mapping[str, Any], model: type[Declared], error: ValidationError
) -> list[Fault]:
    """The faults of ``document``, which is what ``text`` says and was to be a ``model``, from the top down."""
    found: list[Fault] = []
    places = Places(text)
    for each in error.errors(include_url=False, include_input=False):
        contradiction = each.get("ctx", {}).get("error")
        if isinstance(contradiction, ContradictionError):
            found += [
                _at(places, document, (*each["loc"], *path), words) for path, words in contradiction.found
            ]
        else:
            found.append(_at(places, document, each["loc"], _words(model, each)))
    return sorted(found, key=lambda fault: fault.line or 0)


def _at(places: Places, document: Mapping[str, Any], loc: Path, words: str) -> Fault:
    path = _as_written(document, loc)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path)
    return Fault(places.line_of(path), key.removeprefix("."), words)


def _shown(name: str) -> str:
    if len(name) > _LONGEST_KEY:
        name = f"{name[:_LONGEST_KEY]}…"
    return name if name.isprintable() else repr(name)


def _as_written(document: Mapping[str, Any], loc: Path) -> Path:
    """Without the places of an array where the file has a single table, and without pydantic's mark of a key."""
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
        return f"is no known key; those are {', '.join(_known_keys(model, error['loc']))}"
    if error["type"] == "tuple_type" and _holds_tables(model, error["loc"]):
        return f"write [[{error['loc'][-1]}]], in two brackets, for each"
    said = error["msg"].removeprefix("Value error, ")
    return _WORDS.get(error["type"]) or re.sub(r"^(Input|String|Value) should", "must", said)


def _holds_tables(model: type[Declared], loc: Path) -> bool:
    """Whether the key is one of those of the whole file that are written as tables."""
    field = model.model_fields.get(str(loc[0])) if len(loc) == 1 else None
    return field is not None and _table_in(field.annotation) is not None


def _known_keys(model: type[Declared], loc: Path) -> list[str]:
    """The keys of the table that the last part of ``loc`` is in."""
    for part in loc[:-1]:
        names = [each for each in model.model_fields.items() if part in {each[0], each[1].alias}]
        inner = _table_in(names[0][1].annotation) if names else None
        model = inner or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _table_in(annotation: Any) -> type[Declared] | None:
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return annotation
    return next((found for each in get_args(annotation) if (found := _table_in(each))), None)
