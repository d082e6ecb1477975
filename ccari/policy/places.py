"""Where in a TOML text a key stands: tomllib keeps no line numbers, and "campaigns[3].dial" is hard to find by hand."""

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ENTRY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")

Path = tuple[int | str, ...]


def line_of(text: str, path: Path) -> int | None:
    """The line (from 1) of the key at ``path``, or of the innermost table around it that has a line of its own.

    ``path`` is as pydantic gives it: names, and indices into arrays of tables.
    """
    lines = _index(text)
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _index(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            names = _names(header[2])
            if header[1] == "[[":
                counts[names] = counts.get(names, -1) + 1
            table = _resolve(names, counts)
            lines.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            lines.setdefault((*table, *_names(entry[1])), number)
    return lines


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _resolve(names: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> Path:
    """``campaigns.recording`` lies in the campaign that was begun last."""
    path: Path = ()
    for depth, name in enumerate(names, start=1):
        path = (*path, name)
        if names[:depth] in counts:
            path = (*path, counts[names[:depth]])
    return path
