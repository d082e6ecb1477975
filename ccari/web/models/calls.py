"""Calls: placing, listing and showing them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from ccari.policy.call import Direction, Outcome
from ccari.policy.declared import Identifier
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import After, AgentName, CampaignId, Limit, Moment, Next, NumberText, OneLine


class CallPath(Given):
    id: UUID


class CallOrder(Body):
    """``agent`` is rung first, then the number. Without an agent the number is rung first, then the campaign's destination."""

    number: NumberText = Field(repr=False)
    campaign: CampaignId
    agent: AgentName | None = None


class CallPlaced(Told):
    id: UUID


class CallsQuery(Given):
    controller: Identifier | None = None
    campaign: OneLine | None = None
    outcome: Outcome | Literal["handed_back"] | None = None
    since: Annotated[Moment | None, Field(description="Opened at that moment or later.")] = None
    limit: Limit = 100
    after: After = None


class CallRow(Told):
    id: UUID
    opened_at: datetime
    direction: Direction
    controller: str | None
    campaign: str
    legal_basis: str | None
    number: Annotated[str, Field(description="Masked.")]
    outcome: str | None
    reason: str | None
    dialled_at: datetime | None
    heard_at: datetime | None
    ended_at: datetime | None
    agent: str
    revision: int | None
    notice_version: str | None
    expired_at: Annotated[
        datetime | None,
        Field(
            description="Since when it no longer shows whose it was, because its time is over; null: it has not expired."
        ),
    ]


class CallPage(Told):
    items: tuple[CallRow, ...]
    next: Next


class CallsFound(Told):
    """``controllers``: those whose calls were searched. ``more``: there are calls that are not shown."""

    controllers: tuple[str, ...]
    items: tuple[CallRow, ...]
    more: bool


class JournalEntry(Told):
    """``fields``: null if they were erased."""

    seq: int
    at: datetime
    event: str
    fields: dict[str, Any] | None


class RecordingRow(Told):
    id: UUID
    state: str
    legal_basis: str
    mode: str
    started_at: datetime | None
    duration_ms: int | None
    delete_at: datetime
    file: str | None


class Recorded(Told):
    """A call's stored recordings as one: how many ``segments`` there are, how long they last together, and from when to when."""

    segments: int
    duration_ms: int
    started_at: datetime
    ended_at: datetime


class CallShown(CallRow):
    """``whole``: no entry of the journal was changed, lost or moved; else ``fault`` says what was."""

    events: tuple[JournalEntry, ...]
    recorded: Recorded | None
    recordings: tuple[RecordingRow, ...]
    whole: bool
    fault: str | None
