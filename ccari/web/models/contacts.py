"""Contacts: a controller's numbers, and where each of them comes from (Art 14(2)(f))."""

from datetime import date, datetime
from typing import Annotated

from pydantic import Field

from ccari.policy.bases import LegalBasis
from ccari.policy.declared import Identifier
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import After, ControllerId, Limit, Next, NumberText, OneLine, PlainWords, When
from ccari.web.models.lists import KeepGoing


class ContactsQuery(Given):
    controller: Identifier | None = None
    source: OneLine | None = None
    limit: Limit = 100
    after: After = None


class Source(Told):
    source: str
    obtained_on: date
    legal_basis: str
    proof: str
    valid_until: datetime | None
    origin: str
    entered_at: datetime


class ContactRow(Source):
    id: int
    controller: str
    digest: Annotated[str, Field(description="Keyed; the number itself is not kept.")]
    key_version: int


class ContactPage(Told):
    items: tuple[ContactRow, ...]
    next: Next


class NumberAsked(Body):
    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    why: Annotated[OneLine, Field(description="It is kept in the record of accesses.")] = ""


class ContactAnswer(Told):
    known: bool
    sources: tuple[Source, ...]


class ContactsImportQuery(Given):
    """The values for lines that leave them out. ``campaign``: leave out numbers that this campaign may not call."""

    controller: ControllerId = None
    campaign: OneLine | None = None
    source: PlainWords | None = None
    obtained: When | None = None
    basis: LegalBasis | None = None
    proof: PlainWords | None = None
    valid_until: When | None = None
    keep_going: KeepGoing = False


class ScrubQuery(Given):
    campaign: Annotated[OneLine, Field(description="The campaign that is to call them.")]
