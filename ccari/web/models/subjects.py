"""All that is kept about one person, on a request of theirs."""

from typing import Annotated

from pydantic import Field

from ccari.ports.subjects import AnswerLanguage
from ccari.web.models.base import Body, Told
from ccari.web.models.fields import ControllerId, NumberText, Reference


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
