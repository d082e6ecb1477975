"""Renders the readable part of an export: one HTML page."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from functools import partial
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from ccari.office import languages, moments
from ccari.policy.sentences import ended_once
from ccari.ports.subjects import AnswerLanguage

_HERE = resources.files("ccari.recordings.subject")
_WORDS: Mapping[str, Mapping[str, Any]] = tomllib.loads(_HERE.joinpath("words.toml").read_text("utf-8"))
_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    _HERE.joinpath("page.html.j2").read_text("utf-8")
)


def page(account: Mapping[str, Any], language: AnswerLanguage, zone: ZoneInfo) -> bytes:
    """The page of an ``account``, as made by :func:`ccari.recordings.subject.account.account`, with times in ``zone``."""
    words, numeric_day = _WORDS[language], partial(languages.numeric_day, language)

    def term(name: str | None) -> str:
        return str(words["terms"].get(name, name)) if name else "–"

    def happened(event: str) -> str:
        return str(words["events"].get(event, event))

    def why(reason: str | None) -> str:
        """Why a call was not made, or how it ended; "" if that would mean something only to a technician: data.json has it."""
        barred = (reason or "").removeprefix("suppressed_").removeprefix("campaign_")
        told = ", ".join(words["terms"][each] for each in barred.split(",") if each in words["terms"])
        return f"{words['barred']}: {told}" if told and barred != reason else told

    def written(text: str | None) -> str | None:
        """What somebody wrote to a bar; of a lifted one, an erasure leaves that word in its place."""
        return str(words["erased"]) if text == "erased" else text

    def when(moment: datetime | None) -> str:
        # no name of a time zone is known in all languages
        return moments.shown(moment, zone, day=numeric_day, clock="UTC%z") if moment else ""

    def day(of: date | None) -> str:
        return numeric_day(of) if of else ""

    def article_of(of: str) -> str:
        return f"{words['article']} {languages.article(language, of)}"

    def length(milliseconds: int | None) -> str:
        return f"{milliseconds // 60000}:{milliseconds // 1000 % 60:02}" if milliseconds is not None else ""

    fields = {
        "passed_on": [], "purposes": [], "suppressions": [], "registers": [], "requests": [], "accesses": [], "accesses_expired_before": None, "recipients": [], "retention": [], "kept_for_claims": False, **account,
        "language": language,
    }  # fmt: skip
    return _PAGE.render(
        say=words,
        term=term,
        happened=happened,
        why=why,
        written=written,
        when=when,
        day=day,
        article_of=article_of,
        length=length,
        ended_once=ended_once,
        zone=zone.key,
        **fields,
    ).encode()
