"""Bars on numbers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ccari.policy.declared import Identifier, Words
from ccari.policy.suppression import Reason
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import After, ControllerId, Limit, Next, NumberText, OneLine, PlainWords, When
from ccari.web.models.lists import KeepGoing


class BarringBody(Body):
    """``until``: the last day of the bar; null: until it is lifted. A withdrawal also ends the consents that it is about."""

    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    campaign: Annotated[
        Words | None, Field(description="Only for this one; null: all of the controller's.")
    ] = None
    reason: Reason = Reason.DO_NOT_CALL
    proof: Annotated[OneLine, Field(description="Where the wish is on file.")] = ""
    until: When | None = None


class Barred(Told):
    """``added``: false if a bar for this reason stood already."""

    controller: str
    campaign: str | None
    number: str
    reason: Reason
    added: bool


class CheckBody(Body):
    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    why: Annotated[OneLine, Field(description="It is kept in the record of accesses.")] = ""


class Bar(Told):
    campaign: str | None
    reason: str
    origin: str
    proof: str
    entered_at: datetime
    expires_at: datetime | None


class StandingBar(Bar):
    """``reason``: if ``scope`` is register, the register's name. ``stands``: whether it bars now."""

    scope: Literal["controller", "campaign", "register"]
    stands: bool


class CheckAnswer(Told):
    barred: bool
    bars: tuple[StandingBar, ...]


class LiftingBody(Body):
    number: NumberText = Field(repr=False)
    why: Annotated[Words, Field(description="It is kept, with who did it and when.")]
    controller: ControllerId = None
    campaign: Annotated[
        Identifier | None, Field(description="Only the bars on this one; null: any or all.")
    ] = None
    reason: Annotated[
        Reason | None,
        Field(
            description="Only the bars for this one; null: any but restriction and erasure, which are lifted by name."
        ),
    ] = None


class LiftedBar(Bar):
    removed_at: datetime
    removed_by: str
    why: str


class Lifted(Told):
    lifted: tuple[Bar, ...]


class BarsImportQuery(Given):
    """The values for lines that leave them out."""

    controller: ControllerId = None
    campaign: OneLine | None = None
    reason: Reason = Reason.DO_NOT_CALL
    proof: PlainWords | None = None
    until: When | None = None
    keep_going: KeepGoing = False


class SuppressionsQuery(Given):
    controller: Identifier | None = None
    campaign: OneLine | None = None
    reason: Reason | None = None
    limit: Limit = 100
    after: After = None


class SuppressionRow(Bar):
    controller: str
    digest: Annotated[str, Field(description="Keyed; the number itself is not kept.")]
    key_version: int


class SuppressionPage(Told):
    items: tuple[SuppressionRow, ...]
    next: Next
