"""All that is kept about one person, on a request of theirs."""

from typing import Annotated

from pydantic import Field

from ccari.ports.subjects import AnswerLanguage
from ccari.web.models.base import Body, Told
from ccari.web.models.calls import CallRow
from ccari.web.models.consents import ConsentOfNumber
from ccari.web.models.contacts import Source
from ccari.web.models.fields import ControllerId, NumberText, Reference
from ccari.web.models.requests import RequestRow
from ccari.web.models.suppressions import LiftedBar, StandingBar


class Known(Told):
    """What one controller knows of a number. ``barred``: one of the bars stands now. ``sources``: none if it is no contact."""

    controller: str
    barred: bool
    bars: tuple[StandingBar, ...]
    lifted: tuple[LiftedBar, ...]
    sources: tuple[Source, ...]
    consents: tuple[ConsentOfNumber, ...]
    requests: tuple[RequestRow, ...]
    more_requests: bool
    calls: tuple[CallRow, ...]
    more_calls: bool


class SubjectFound(Told):
    controllers: tuple[Known, ...]


class SubjectBody(Body):
    """``request``: an open one of that person, whose identity was verified (L2)."""

    number: NumberText = Field(repr=False)
    request: Reference
    controller: ControllerId = None


class ExportBody(SubjectBody):
    language: Annotated[
        AnswerLanguage | None,
        Field(
            description="Of the page to read. Default: the request's, or the one that all campaigns of the controller have; otherwise "
            "English."
        ),
    ] = None


class PlanBody(SubjectBody):
    keep_proof: Annotated[
        bool,
        Field(
            description="Keep the proof of consents, if calls were made on them or the law requires it, for as long as it is needed."
        ),
    ] = True


class Goes(Told):
    what: str
    count: int


class Stays(Goes):
    ground: str
    article: str
    why: str


class PlanShown(Told):
    goes: tuple[Goes, ...]
    stays: tuple[Stays, ...]
