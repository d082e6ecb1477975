"""Renders the readable part of an export: one HTML page."""

from collections.abc import Mapping
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from ccari.policy.recording import RecordingState
from ccari.policy.sentences import ended_once
from ccari.ports.subjects import AnswerLanguage
from ccari.recordings.subject.words import Words

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    resources.files("ccari.recordings.subject").joinpath("page.html.j2").read_text("utf-8")
)

#: The states of a recording in which there is one.
_THERE_IN = frozenset(each for each in RecordingState if each.is_there)


def page(account: Mapping[str, Any], language: AnswerLanguage, zone: ZoneInfo) -> bytes:
    """The page of an ``account``, as made by :func:`ccari.recordings.subject.account.account`, with times in ``zone``."""
    words = Words(language, zone)
    fields = {
        "passed_on": [], "purposes": [], "suppressions": [], "registers": [], "requests": [], "accesses": [], "accesses_expired_before": None, "recipients": [], "retention": [], "kept_for_claims": False, **account,
        "language": language,
    }  # fmt: skip
    return _PAGE.render(
        say=words.say,
        term=words.term,
        happened=words.happened,
        why=words.why,
        detail=words.detail,
        written=words.written,
        when=words.when,
        day=words.day,
        article_of=words.article_of,
        length=words.length,
        ended_once=ended_once,
        there_in=_THERE_IN,
        zone=zone.key,
        **fields,
    ).encode()
