"""All that is kept of one person, on a request of theirs."""

from typing import Annotated

from pydantic import Field

from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import ControllerId, NumberText, Reference


class SubjectBody(Body):
    """``request``: theirs, open, and of a person who was identified (L2)."""

    number: NumberText = Field(repr=False)
    request: Reference
    controller: ControllerId = None


class PlanBody(SubjectBody):
    keep_proof: Annotated[
        bool,
        Field(
            description="The proof of consents stays that calls were made on, or the law has kept, for as long as it is needed."
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


class RequestEvidencePath(Given):
    reference: Reference
