"""Consents, with their proof, their withdrawal, and the calls that were made on them (Art 7)."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ccari.policy.consent import Channel, ConsentState
from ccari.policy.declared import Identifier, Words
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import After, ControllerId, Limit, Next, NumberText
from ccari.web.models.lists import KeepGoing


class ConsentsQuery(Given):
    controller: Identifier | None = None
    purpose: Identifier | None = None
    channel: Channel | None = None
    limit: Limit = 100
    after: After = None


class ConsentShown(Told):
    """``state``: whether it is in force now."""

    purpose: str
    channel: Channel
    given_at: datetime
    withdrawn_at: datetime | None
    valid_until: datetime | None
    state: ConsentState
    proof: str
    origin: str
    entered_at: datetime


class ConsentRow(ConsentShown):
    controller: str
    digest: Annotated[str, Field(description="Keyed; the number itself is not kept.")]
    key_version: int


class ConsentPage(Told):
    items: tuple[ConsentRow, ...]
    next: Next


class Use(Told):
    call: UUID
    at: datetime


class ConsentOfNumber(ConsentShown):
    uses: tuple[Use, ...]


class ConsentAnswer(Told):
    consents: tuple[ConsentOfNumber, ...]


class WithdrawalBody(Body):
    """``purpose``: of the consents to withdraw; null: all of them."""

    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    purpose: Identifier | None = None
    proof: Annotated[Words, Field(description="Where the wish is on file, such as a letter's reference.")]


class Withdrawn(Told):
    controller: str
    number: str
    purpose: str | None
    consents_withdrawn: int


class ConsentsImportQuery(Given):
    controller: ControllerId = None
    keep_going: KeepGoing = False
