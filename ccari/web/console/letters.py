"""Drafts of letters to a person about their request: for each right and outcome, in the person's language."""

import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache, partial
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from ccari.office import languages
from ccari.policy import deadlines
from ccari.policy.parties import Controller
from ccari.policy.rights import EFFECTS, Level, RequestState, Right, Stored
from ccari.policy.sentences import ended_once
from ccari.policy.suppression import Reason
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.web.models.requests import RequestShown


class Outcome(StrEnum):
    """What the letter says: the request has come in (not a duty, but people ask for it); the person must prove their identity
    (Art 12(6)); it takes longer (12(3)); what was done (12(3)); why nothing was done (12(4)); a restriction is about to be
    lifted (18(3)).
    """

    RECEIPT = "receipt"
    IDENTITY = "identity"
    EXTENDED = "extended"
    FULFILLED = "fulfilled"
    REFUSED = "refused"
    LIFTING = "lifting"


@dataclass(frozen=True, slots=True)
class Letter:
    """A draft. What is in square brackets still has to be filled in: the ``addressee`` always."""

    language: AnswerLanguage
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
    for language in ANSWER_LANGUAGES
}
_SPACE = re.compile(r"[ \t\n]+")
# letters are plain text; the page that shows one escapes it
_ENVIRONMENT = Environment(autoescape=False, undefined=StrictUndefined)  # noqa: S701
#: Of the book's texts, which are few: compiling one takes longer than filling it in.
_template = cache(_ENVIRONMENT.from_string)


def offered(request: RequestShown, steps: Container[str]) -> tuple[Outcome, ...]:
    """The letters on offer. The answer can be written before the request is closed, and again afterwards.

    ``steps``: the names of the steps that the request can take now: no letter is offered for a step that the law forbids. Proof of
    identity is asked for only if there is doubt (Art 12(6)).
    """
    if request.state is RequestState.FULFILLED:
        return (Outcome.FULFILLED, Outcome.LIFTING) if _still_restricts(request) else (Outcome.FULFILLED,)
    if request.state is RequestState.REFUSED:
        return (Outcome.REFUSED,)
    if not request.state.is_open:
        return ()
    is_offered = {
        Outcome.RECEIPT: True,
        Outcome.IDENTITY: Level[request.level] < EFFECTS[request.right].fulfil_at,
        Outcome.EXTENDED: request.extended_at is not None or "extend" in steps,
        Outcome.FULFILLED: "resolve" in steps,
        Outcome.REFUSED: "refuse" in steps,
    }
    return tuple(outcome for outcome, is_so in is_offered.items() if is_so)


def _still_restricts(request: RequestShown) -> bool:
    """True if the request led to a restriction that nobody has lifted yet."""
    return any(bar.reason == Reason.RESTRICTION and bar.removed_at is None for bar in request.suppressions)


def write(
    outcome: Outcome, request: RequestShown, controller: Controller, language: AnswerLanguage, now: datetime
) -> Letter:
    """The draft, dated ``now`` (aware). Square brackets mark what only its writer can know."""
    book, right, day = _BOOK[language], request.right, partial(languages.day, language)
    today = deadlines.local_day(now, controller.country)
    bars = [bar for bar in request.suppressions if bar.removed_at is None]
    fields = {
        "reference": request.reference, "article": languages.article(language, request.article), "name": book["rights"][right],
        "taken_as": book["refusal_as"].get(request.article, "") if right is Right.REFUSE_RECORDING else "",
        "controller": controller.name, "contact": controller.dpo, "country": controller.country,
        "received": day(deadlines.local_day(request.received_at, controller.country)),
        "due": day(request.due), "late": request.due < today, "refused_late": _refused_on(request, controller, today) > request.first_due,
        "refusal_due": day(request.first_due), "extended_to": day(_extended_to(request, controller)),
        "reason": _reason(request, outcome) or book["gap"]["reason"], "right": right.value,
        "barred": bool(bars), "barred_wholly": any(not bar.campaign for bar in bars), "in_call": request.call_id is not None,
        "stopped": request.has_stopped_recording, "unrecorded": _was_not_recorded(request),
        "erased": request.erased_at is not None and not request.erasing, "erasing": request.erasing, "decides": request.effect.stored_recordings == Stored.ERASE_OR_RESTRICT,
    }  # fmt: skip
    bodies = [book["opening"], book[outcome][right] if right in book[outcome] else book[outcome]["body"]]
    # less may have been done than was asked for (17(3)); then Art 12(4) requires naming the remedies, as for a refusal
    if outcome in {Outcome.EXTENDED, Outcome.FULFILLED, Outcome.REFUSED, Outcome.LIFTING}:
        bodies.append(book["remedies"])
    bodies.append(book["closing"])
    paragraphs = [
        languages.bound(language, ended_once(_SPACE.sub(" ", paragraph).strip()))
        for body in bodies
        for paragraph in _template(body).render(fields).split("\n\n")
    ]
    subject = _template(book[outcome]["subject"]).render(fields)
    return Letter(
        language, controller.name, controller.dpo, book["gap"]["addressee"], day(today), subject,
        tuple(filter(None, paragraphs)),
    )  # fmt: skip


def _extended_to(request: RequestShown, controller: Controller) -> date:
    """The last day after an extension: the recorded one, if there is one; calendars and countries may have changed since."""
    if request.extended_at is not None:
        return request.due
    return deadlines.extended(request.received_at, controller.country)


def _refused_on(request: RequestShown, controller: Controller, today: date) -> date:
    """The day when a refusal was recorded, or today."""
    if request.state is RequestState.REFUSED and request.closed_at is not None:
        return deadlines.local_day(request.closed_at, controller.country)
    return today


def _was_not_recorded(request: RequestShown) -> bool:
    """True if the call is known not to have been recorded: then a refusal is fulfilled at once (:func:`ccari.policy.rights.begins`). It
    is unknown for a call that others may have recorded.
    """
    fulfilled_at_once = [step.state for step in request.history[:1]] == [RequestState.FULFILLED]
    return request.call_id is not None and fulfilled_at_once and not request.recordings


def _reason(request: RequestShown, outcome: Outcome) -> str:
    """The reason given when the request was extended or refused; "" if it was erased since.

    It is in the first entry with that state: later notes, such as how the identity was verified, do not change the state.
    """
    state = {Outcome.EXTENDED: RequestState.EXTENDED, Outcome.REFUSED: RequestState.REFUSED}.get(outcome)
    step = next((each for each in request.history if each.state is state), None)
    return "" if step is None or step.is_erased else step.reason
