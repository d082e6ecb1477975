"""Drafts of what a person is told of their request: one for each right and outcome, in the language that they speak."""

import tomllib
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from ccari.policy import deadlines
from ccari.policy.parties import Controller
from ccari.policy.rights import EFFECTS, Level, RequestState, Stored
from ccari.web.console.words import CATALOGUES, LANGUAGES
from ccari.web.models.requests import RequestShown


class Outcome(StrEnum):
    """What the person is told: that it came in (no duty, but asked for), who they are to show that they are (Art 12(6)),
    that it takes longer (12(3)), what was done (12(3)), or why nothing was (12(4)).
    """

    RECEIPT = "receipt"
    IDENTITY = "identity"
    EXTENDED = "extended"
    FULFILLED = "fulfilled"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Letter:
    """What stands in square brackets in it, the ``addressee`` always, is still to be filled in."""

    language: str
    sender: str
    contact: str
    addressee: str
    day: str
    subject: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        head = f"{self.sender}\n{self.contact}\n\n{self.addressee}\n\n{self.day}\n\n{self.subject}\n"
        return "\n".join([head, *(f"{each}\n" for each in self.paragraphs)])


_BOOK: Mapping[str, Mapping[str, Any]] = {
    language: tomllib.loads(
        resources.files("ccari.web.console").joinpath("letterbook", f"{language}.toml").read_text("utf-8")
    )
    for language in LANGUAGES
}
_DAYS: Mapping[str, Callable[[date], str]] = {
    "en": lambda day: f"{day.day} {day:%B %Y}",
    "pl": lambda day: f"{day:%d.%m.%Y}",
}
# text, no markup: whoever shows it escapes it
_ENVIRONMENT = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True)  # noqa: S701


def offered(request: RequestShown, steps: Container[str]) -> tuple[Outcome, ...]:
    """Which letters there are: the answer is written before the request is closed, and can be had again after it.

    ``steps``: the names of those that can be taken now. An identity is asked for only where it is in doubt (Art 12(6)), and
    nobody is told of what the law does not let be done.
    """
    if request.state is RequestState.FULFILLED:
        return (Outcome.FULFILLED,)
    if request.state is RequestState.REFUSED:
        return (Outcome.REFUSED,)
    if not request.state.is_open:
        return ()
    can = {
        Outcome.RECEIPT: True,
        Outcome.IDENTITY: Level[request.level] < EFFECTS[request.right].fulfil_at,
        Outcome.EXTENDED: request.extended_at is not None or "extend" in steps,
        Outcome.FULFILLED: "resolve" in steps,
        Outcome.REFUSED: "refuse" in steps,
    }
    return tuple(each for each in Outcome if can[each])


def language_of(wanted: str | None, spoken: str | None) -> str:
    """The one that was asked for, else that of the call, else English: of those that there are letters in."""
    return next((each for each in (wanted, spoken) if each in LANGUAGES and each is not None), "en")


def write(
    outcome: Outcome, request: RequestShown, controller: Controller, language: str, now: datetime
) -> Letter:
    """The draft, of ``now`` (aware); what nobody but its writer can know stands in square brackets."""
    book, right, day = _BOOK[language], request.right, _DAYS[language]
    today = deadlines.local_day(now, controller.country)
    bars = [each for each in request.suppressions if each.removed_at is None]
    told = {
        "reference": request.reference, "article": CATALOGUES[language].article(request.article), "name": book["rights"][right],
        "controller": controller.name, "contact": controller.dpo, "country": controller.country,
        "received": day(deadlines.local_day(request.received_at, controller.country)),
        "due": day(request.due), "late": request.due < today, "extended_to": day(deadlines.extended(request.received_at, controller.country)),
        "reason": _reason(request, outcome) or book["gap"]["reason"], "right": right.value,
        "barred": bool(bars), "barred_wholly": any(not bar.campaign for bar in bars), "in_call": request.call_id is not None,
        "stopped": request.has_stopped_recording, "unrecorded": _was_not_recorded(request),
        "decides": request.effect.stored_recordings == Stored.ERASE_OR_RESTRICT,
    }  # fmt: skip
    bodies = [book["opening"], book[outcome][right] if right in book[outcome] else book[outcome]["body"]]
    # what was done may be less than what was asked for (17(3)), and then Art 12(4) wants them as in a refusal
    if outcome in {Outcome.EXTENDED, Outcome.FULFILLED, Outcome.REFUSED}:
        bodies.append(book["remedies"])
    bodies.append(book["closing"])
    paragraphs = [
        " ".join(each.split())
        for body in bodies
        for each in _ENVIRONMENT.from_string(body).render(told).split("\n\n")
    ]
    subject = _ENVIRONMENT.from_string(book[outcome]["subject"]).render(told)
    kept = tuple(each for each in paragraphs if each)
    return Letter(
        language, controller.name, controller.dpo, book["gap"]["addressee"], day(today), subject, kept
    )


def _was_not_recorded(request: RequestShown) -> bool:
    """True if that is known: such a refusal is done with at once (:func:`ccari.policy.rights.begins`). Not so of a call
    that others may have recorded.
    """
    done = [each.state for each in request.history[:1]] == [RequestState.FULFILLED]
    return request.call_id is not None and done and not request.recordings


def _reason(request: RequestShown, outcome: Outcome) -> str:
    """What was given as the reason when the request was extended or refused."""
    state = {Outcome.EXTENDED: RequestState.EXTENDED, Outcome.REFUSED: RequestState.REFUSED}.get(outcome)
    given = [each.reason for each in request.history if each.state is state and each.reason]
    return given[-1] if given else ""
