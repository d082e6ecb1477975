"""Commands that are mentioned to people exist, with the options that are named."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from ccari.cli.main import app
from tests.unit.documents.pages import CHECKOUT, blocks, pages, prose

_ROOT: Any = get_command(app)
_QUOTED = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
#: A row of a table that names a command, and others by their last words only.
_ROW = re.compile(r"^\| (`ccari [^|]+) \|", re.MULTILINE)
#: How another program runs ccari; the rest, up to the end of the shell's command, is ccari's own.
_WITHIN = re.compile(r"\bccari ((?:[a-z-]+)(?: [^\n|<>&#`]*)?)")


def _fault(words: Sequence[str]) -> str | None:
    """What of it does not exist."""
    command = _ROOT
    for word in (each.strip("[]") for each in words):
        if word.startswith("--"):
            name = word.partition("=")[0]
            if name not in {
                option for each in command.params for option in (*each.opts, *each.secondary_opts)
            }:
                return f"{command.name} has no {name}"
        elif hasattr(command, "commands") and word not in {"…", "..."}:
            if word not in command.commands:
                return f"{command.name} has no {word}"
            command = command.commands[word]
    return None


def _told(page: Path) -> Iterator[str]:
    """What follows ``ccari`` where the page names a command."""
    text = prose(page)
    for quoted in _QUOTED.findall(text):
        if quoted.startswith("ccari "):
            yield quoted.removeprefix("ccari ")
    for row in _ROW.findall(text):
        first, *others = _QUOTED.findall(row)
        group = first.split()[1]
        yield from (f"{group} {each}" for each in others if not each.startswith(("ccari ", "…")))


def _within(page: Path) -> Iterator[str]:
    for block in blocks(page):
        for found in _WITHIN.findall(block.text):
            if found.split()[0] in _ROOT.commands:
                yield found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_names_a_command_or_an_option_that_does_not_exist(page: Path) -> None:
    told = [*_told(page), *_within(page)]
    assert {each: fault for each in told if (fault := _fault(each.split()))} == {}


def test_the_readme_names_no_longer_what_its_reader_needs() -> None:
    told = {each.split()[0] for each in _told(CHECKOUT / "README.md")}
    assert _ROOT.commands.keys() - told == {"demo"}
