"""Renders a record of processing as one HTML page, to print or to put into the file of the controller's other activities."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from ccari.office import languages, moments
from ccari.office.naming import zone_of
from ccari.office.processing.record import RECORD_LANGUAGES, RecordLanguage, Source, record
from ccari.policy.activities import Kind
from ccari.policy.bases import LegalBasis
from ccari.policy.parties import Controller

_HERE = resources.files("ccari.office.processing")
_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    _HERE.joinpath("page.html.j2").read_text("utf-8")
)

_WORDS = languages.words_of("ccari.office.processing")


def page(source: Source, controller: Controller | None, language: RecordLanguage | None = None) -> bytes:
    """The page of a controller's record; None: of the processor's.

    ``language``: by default the one in which the supervisory authority works, or English. Times are by the clock of the controllers' country, or UTC if
    they have several.
    """
    told = record(source, controller)
    whose = source.policy.controllers if controller is None else (controller,)
    language, zone = language or _language(whose), _zone(whose)
    words, of = _WORDS[language], "processor" if controller is None else "controller"

    def when(moment: datetime) -> str:
        return moments.shown(
            moment, zone, seconds=False, day=partial(languages.numeric_day, language), clock="UTC%z"
        )

    def article(which: str) -> str:
        return languages.bound(language, f"{words['article']} {languages.article(language, which)}")

    def basis(activity: Mapping[str, Any]) -> str:
        if (declared := activity["legal_basis"]) is not None:
            return f"{words['bases'][declared]}, {article(f'6(1)({LegalBasis(declared).letter})')}"
        if activity["kind"] is Kind.CONTACTS:
            return str(words["own_basis"])
        return f"{words['demanded']} {', '.join(map(article, activity['articles']))}"

    def kept(activity: Mapping[str, Any]) -> str:
        days, until, setting = (activity["kept"][name] for name in ("days", "until", "setting"))
        if days is None:
            return str(words["until"][until].format(setting=setting))
        of_time = words["days"][languages.plural(language, days)].format(n=days)
        return f"{of_time} {words['days'][activity['kind']]}"

    fields: dict[str, Any] = {"controller": None, **told}
    revision = told["revision"]
    return _PAGE.render(
        say=words,
        language=language,
        title=words[f"{of}_title"],
        law=words[f"{of}_law"],
        applied=words["revision_of"].format(number=revision["number"], at=when(revision["applied_at"])),
        made=f"{when(told['made_at'])} ({zone.key})",
        basis=basis,
        kept=kept,
        **fields,
    ).encode()


def _language(whose: Sequence[Controller]) -> RecordLanguage:
    """The language of the supervisory authority of all these controllers, if they share one that a record can be in."""
    spoken = {languages.of_country(each.country) for each in whose}
    return next((each for each in RECORD_LANGUAGES if spoken == {each}), "en")


def _zone(whose: Sequence[Controller]) -> ZoneInfo:
    zones = {zone_of(each) for each in whose}
    return zones.pop() if len(zones) == 1 else ZoneInfo("UTC")
