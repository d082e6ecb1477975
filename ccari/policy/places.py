"""The line of each key of a TOML text. tomllib keeps no line numbers, and "campaigns[3].dial" is hard to find by hand."""

import re
from collections.abc import Iterator
from itertools import islice

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ENTRY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_TOKEN = re.compile(r'''"""|\'\'\'|"(?:\\.|[^"\\])*"|'[^']*'|#.*|[\[\]{}]''')
#: The end of a multi-line string, by its opening quotes.
_ENDS = {'"""': re.compile(r'(?:\\.|[^\\])*?"""'), "'''": re.compile(r".*?'''")}

Path = tuple[int | str, ...]

#: The most parts of a path. No policy key has more; a made-up file's key may have any number, and is cut here.
DEEPEST = 16


class Places:
    """The lines of a text's keys. The text is searched once, however many keys are looked up."""

    def __init__(self, text: str) -> None:
        self._lines = _index(text)

    def line_of(self, path: Path) -> int | None:
        """The line (from 1) of the key at ``path``, or of the innermost table around it that has its own line.

        ``path``: names, and indices into arrays of tables.
        """
        path = path[:DEEPEST]
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return None


def headers(text: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """The line (from 1) of each header, its names, and whether it is in double brackets."""
    for number, line in _statements(text):
        if (header := _HEADER.match(line)) and (names := _names(header[2])):
            yield number, names, header[1] == "[["


def _index(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in _statements(text):
        if header := _HEADER.match(line):
            table = _resolve(_names(header[2]), counts, begins_another=header[1] == "[[")
            lines.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            lines.setdefault((*table, *_names(entry[1])), number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The lines where a table or key may begin: not those inside a multi-line string or array."""
    quote, depth = "", 0
    # not splitlines: Python splits at more characters than TOML does
    for number, line in enumerate(text.split("\n"), start=1):
        if not quote and not depth:
            yield number, line
        column = 0
        while token := (_ENDS[quote].match if quote else _TOKEN.search)(line, column):
            column = token.end()
            if quote:
                quote = ""
            elif token[0] in _ENDS:
                quote = token[0]
            elif token[0] in {"[", "{"}:
                depth += 1
            elif token[0] in {"]", "}"}:
                depth -= 1


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part[0].strip("\"'") for part in islice(_PART.finditer(dotted), DEEPEST))


def _resolve(names: tuple[str, ...], counts: dict[Path, int], *, begins_another: bool) -> Path:
    """The path of a header, with the indices of arrays of tables: ``campaigns.recording`` belongs to the last campaign so far."""
    path: Path = ()
    for depth, name in enumerate(names, start=1):
        path = (*path, name)
        if begins_another and depth == len(names):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
