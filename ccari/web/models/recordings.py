"""Recordings and legal holds."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from ccari.policy.bases import LegalBasis
from ccari.policy.declared import Identifier
from ccari.policy.recording import RecordingState
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.fields import (
    After,
    AfterId,
    ControllerId,
    Limit,
    Next,
    NextId,
    NumberText,
    OneLine,
    Reference,
    Said,
)


class RecordingPath(Given):
    id: UUID


class RecordingsQuery(Given):
    controller: Identifier | None = None
    campaign: OneLine | None = None
    state: RecordingState | None = None
    legal_basis: LegalBasis | None = None
    call: UUID | None = None
    limit: Limit = 100
    after: After = None


class RecordingListed(Told):
    """``due``: when it is to be deleted, unless something holds it; null if it is not stored. ``held_by``: in words."""

    id: UUID
    call_id: UUID
    controller: str
    campaign: str
    legal_basis: str
    mode: str
    state: RecordingState
    started_at: datetime | None
    duration_ms: int | None
    delete_at: datetime
    file: str | None
    sha256: Annotated[str | None, Field(description="Of the audio inside.")]
    revision: int
    purpose: str
    notice_version: str
    tagged_at: datetime
    deleted_at: datetime | None
    deletion: str | None
    deletion_ref: str | None
    due: datetime | None
    due_for: str | None
    held_by: tuple[str, ...]


class RecordingPage(Told):
    items: tuple[RecordingListed, ...]
    next: Next


class RecordingShown(RecordingListed):
    tag: Annotated[
        dict[str, Any] | None,
        Field(description="As stored beside the file; null: the recording is not stored."),
    ]


class HoldPath(Given):
    number: Annotated[int, Field(ge=1, lt=2**63)]


class HoldsQuery(Given):
    controller: Identifier | None = None
    released: Annotated[bool, Field(description="Also holds that were released.")] = False
    limit: Limit = 100
    after: AfterId = None


class HoldShown(Told):
    """``on``: the kind of thing that is held; ``what``: which one; for a number, the beginning of its keyed digest.
    ``recordings``: how many stored ones it holds.
    """

    id: int
    on: str
    what: str
    controller: str | None
    reason: str
    recordings: int
    placed_by: str
    placed_at: datetime
    released_by: str | None
    released_at: datetime | None
    release_reason: str | None


class HoldPage(Told):
    items: tuple[HoldShown, ...]
    next: NextId


class HoldBody(Body):
    """Exactly one of ``recording``, ``call``, ``request`` and ``number``."""

    recording: UUID | None = None
    call: UUID | None = None
    request: Reference | None = None
    number: Annotated[NumberText | None, Field(repr=False)] = None
    controller: ControllerId = None
    reason: Annotated[Said, Field(description="For which claim; it is kept.")]

    @model_validator(mode="after")
    def _on_one_thing(self) -> Self:
        if sum(each is not None for each in (self.recording, self.call, self.request, self.number)) != 1:
            raise ValueError("give one of recording, call, request and number")
        return self


class ReleaseBody(Body):
    reason: Annotated[Said, Field(description="Why nothing needs it any more; it is kept.")]
