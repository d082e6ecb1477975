"""Lays out the information for data subjects: as one HTML page, or as Markdown, to put into a letter, a message or a site of your own."""

import re
from collections.abc import Iterator
from importlib import resources

from jinja2 import Environment, StrictUndefined

from ccari.office.informing.text import Mark, Part, Said, Text

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    resources.files("ccari.office.informing").joinpath("page.html.j2").read_text("utf-8")
)
#: What Markdown would take for markup anywhere, or at the beginning of a line (CommonMark 0.31, 2.4 and 5.2).
_MARKUP = re.compile(r"[\\`*_\[\]<>&#|~]|^[-+]")
_LIST_NUMBER = re.compile(r"^(\d+)(?=[.)])")


def page(text: Text) -> bytes:
    return _PAGE.render(text=text).encode()


def markdown(text: Text) -> bytes:
    """What stands in brackets is bold."""
    lines = [_escaped(text.unfinished), "", f"# {_escaped(text.title)}", "", _escaped(text.law), ""]
    for part in text.parts:
        lines += _lines(part)
    lines += ["---", "", *_lines(text.to_complete, numbered=True)]
    return "\n".join(lines).encode()


def _lines(part: Part, *, numbered: bool = False) -> Iterator[str]:
    if part.heading is not None:
        yield from (f"{'#' * part.level} {_escaped(part.heading)}", "")
    for each in part.said:
        yield from (_said(each), "")
    for label, each in part.facts:
        yield f"- **{_escaped(label)}:** {_said(each)}"
    if part.facts:
        yield ""
    for number, each in enumerate(part.items, 1):
        yield f"{number}. {_said(each)}" if numbered else f"- {_said(each)}"
    if part.items:
        yield ""


def _said(said: Said) -> str:
    # spaces at its beginning would make a list or code of a line
    return "".join(
        _escaped(each) if isinstance(each, str) else f"**\\[{each.number}: {_escaped(each.words)}\\]**"
        for each in _unindented(said)
    )


def _unindented(said: Said) -> Iterator[str | Mark]:
    for place, each in enumerate(said):
        yield each.lstrip() if place == 0 and isinstance(each, str) else each


def _escaped(words: str) -> str:
    return _LIST_NUMBER.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", words))
