"""The SQL of ``sql/``, by name.

``/* journal_unchanged */`` in a statement is replaced by the SQL of that name, which uses the statement's parameters. In ``/* stands($3,
$4) */`` the statement's parameters in brackets take the place of ``$1`` and ``$2`` there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, TypeVar

from ccari.ports.keying import Digests

_A = TypeVar("_A")
_B = TypeVar("_B")

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_INCLUDED = re.compile(r"/\* (\w+)(?:\((\$\d+(?:, \$\d+)*)\))? \*/")
_PARAMETER = re.compile(r"\$(\d+)")
_LEADING_COMMENT = re.compile(r"\A(?:--.*\n)+")


def _read() -> dict[str, str]:
    statements: dict[str, str] = {}
    for file in resources.files("ccari.store").joinpath("sql").iterdir():
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in statements:
                raise AssertionError(f"two queries are called {name}")
            statements[name] = body.strip()

    def included(match: re.Match[str]) -> str:
        body = expanded(_LEADING_COMMENT.sub("", statements[match[1]]))
        if match[2] is None:
            return body
        given = match[2].split(", ")
        return _PARAMETER.sub(lambda each: given[int(each[1]) - 1], body)

    def expanded(body: str) -> str:
        return _INCLUDED.sub(included, body)

    return {name: expanded(body) for name, body in statements.items()}


SQL = _read()


def bytea(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from a text, or from JSON."""
    return rf"\x{value.hex()}"


def columns(pairs: Iterable[tuple[_A, _B]]) -> tuple[list[_A], list[_B]]:
    """Pairs as two arrays, which a statement joins again with ``unnest``."""
    listed = list(pairs)
    return [one for one, _ in listed], [other for _, other in listed]


def by_controller(known_as: Mapping[str, Digests]) -> tuple[list[str], list[bytes]]:
    """Like :func:`columns`: the controllers by which a number is known, and its digests there."""
    return columns((whose, digest) for whose, digests in known_as.items() for digest in digests.all)


_PLACEHOLDER = re.compile(r"\$(\d+)(?:::(\w+)\[\])?")


def spell_out_arrays(statement: str, *arguments: Any) -> tuple[str, list[Any]]:
    """Spell out array arguments: ``ARRAY[$2, $3]::bytea[]`` for each ``$2::bytea[]``, with their elements as separate arguments.

    PostgreSQL assumes ten elements in an array argument, so a generic plan looks more expensive than a custom plan: it planned anew for
    each call, which took six times as long as the gate's own query.
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
    """``lengths``: the length of each array argument; None for other arguments."""
    placeholders, first = list[str](), 1
    for length in lengths:
        last = first + (1 if length is None else length)
        placeholders.append(", ".join(f"${number}" for number in range(first, last)))
        first = last

    def spell_out(match: re.Match[str]) -> str:
        elements = placeholders[int(match[1]) - 1]
        return f"ARRAY[{elements}]::{match[2]}[]" if match[2] else elements

    return _PLACEHOLDER.sub(spell_out, statement)
