"""Renders the readable part of an export: one HTML page, in the person's language, or in English if that is not spoken here."""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

_HERE = resources.files("ccari.recordings.subject")
_WORDS: Mapping[str, Mapping[str, Any]] = tomllib.loads(_HERE.joinpath("words.toml").read_text("utf-8"))
_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    _HERE.joinpath("page.html.j2").read_text("utf-8")
)
#: Those of ``PageLanguage``.
LANGUAGES = frozenset(_WORDS)
_FALLBACK = "en"


def page(account: Mapping[str, Any], language: str | None, zone: ZoneInfo) -> bytes:
    """The page of an ``account``, as made by :func:`ccari.recordings.subject.account.account`, with times in ``zone``."""
    spoken = language if language is not None and language in _WORDS else _FALLBACK
    words = _WORDS[spoken]

    def term(name: str | None) -> str:
        return str(words["terms"].get(name, name)) if name else "–"

    def when(moment: datetime | None) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}" if moment else ""

    def length(milliseconds: int | None) -> str:
        return f"{milliseconds // 60000}:{milliseconds // 1000 % 60:02}" if milliseconds is not None else ""

    fields = {
        "passed_on": [], "suppressions": [], "registers": [], "requests": [], "accesses": [], "retention": [], "kept_for_claims": False, **account,
        "language": spoken,
    }  # fmt: skip
    return _PAGE.render(say=words, term=term, when=when, length=length, **fields).encode()
