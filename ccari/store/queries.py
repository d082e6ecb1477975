"""The SQL of ``sql/``, by name. In it ``/* as_known */`` stands for the part of that name."""

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PART = re.compile(r"/\* (\w+) \*/")
_COMMENT = re.compile(r"\A(?:--.*\n)+")


def _read() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in resources.files("ccari.store").joinpath("sql").iterdir():
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise AssertionError(f"two queries are called {name}")
            found[name] = body.strip()
    return {name: _PART.sub(lambda part: _bare(found[part[1]]), body) for name, body in found.items()}


def _bare(body: str) -> str:
    """Without the comment that it begins with."""
    return _COMMENT.sub("", body)


SQL = _read()

_PLACE = re.compile(r"\$(\d+)(?:::(\w+)\[\])?")


def spelt(statement: str, *arguments: Any) -> tuple[str, list[Any]]:
    """The statement with ``ARRAY[$2, $3]::bytea[]`` for each ``$2::bytea[]``, and the arguments one by one.

    PostgreSQL takes an array that it is given for one of ten, and so a plan that is made for all arguments for dearer than
    one for these: it made a new one for each call, which took six times as long as the gate's own work.
    """
    flat, lengths = list[Any](), list[int | None]()
    for each in arguments:
        if isinstance(each, list):
            flat += each
            lengths.append(len(each))
        else:
            flat.append(each)
            lengths.append(None)
    return _spelt(statement, tuple(lengths)), flat


@lru_cache(maxsize=256)
def _spelt(statement: str, lengths: Sequence[int | None]) -> str:
    """``lengths``: of the arguments that are arrays."""
    places, first = list[str](), 1
    for length in lengths:
        last = first + (1 if length is None else length)
        places.append(", ".join(f"${place}" for place in range(first, last)))
        first = last

    def place(found: re.Match[str]) -> str:
        written = places[int(found[1]) - 1]
        return f"ARRAY[{written}]::{found[2]}[]" if found[2] else written

    return _PLACE.sub(place, statement)
