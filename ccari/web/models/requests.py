"""Rights requests: listing, showing and entering them, and their steps."""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field

from ccari.policy.bases import LegalBasis
from ccari.policy.declared import Identifier
from ccari.policy.recording import RecordingMode, stops_recording
from ccari.policy.rights import RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.requests import EnteredBy, LevelName
from ccari.web.models.base import Body, Given, Told
from ccari.web.models.calls import RecordingRow
from ccari.web.models.fields import (
    After,
    ControllerId,
    Day,
    GivenReference,
    Limit,
    Moment,
    Next,
    Note,
    NumberText,
    OneLine,
    Reference,
    Said,
    When,
)

#: By how much a sound file may fall short of the press that ended its recording.
_LACKING = timedelta(seconds=2)

Assurance = Annotated[
    LevelName,
    Field(
        description="How certain the identity is: a letter alone, a key on our call, an authenticated person."
    ),
]


RefuseBy = Annotated[
    date | None,
    Field(
        description="By that day the person must be told if an extended request is refused (Art 12(4)). Null: it is not extended, is "
        "closed, or cannot be refused."
    ),
]


class RequestPath(Given):
    reference: Reference


class FindBody(Body):
    number: NumberText = Field(repr=False)
    controller: Annotated[
        Identifier | None, Field(description="Only those to this one; null: to each that the token sees.")
    ] = None
    why: Annotated[OneLine, Field(description="It is kept in the record of accesses.")] = ""
    limit: Limit = 100


class RequestsQuery(Given):
    controller: Identifier | None = None
    state: tuple[RequestState, ...] = ()
    right: Right | None = None
    open: Annotated[bool, Field(description="Only those that are not closed.")] = False
    overdue: Annotated[bool, Field(description="Only those whose last day is over.")] = False
    due_before: Annotated[
        Day | None, Field(description="Only those that are open and due before that day.")
    ] = None
    reference: GivenReference | None = None
    limit: Limit = 100
    after: After = None


class RegisterQuery(Given):
    """``controller`` may be left out if the token sees all controllers, or only one."""

    controller: Identifier | None = None
    since: Annotated[Moment | None, Field(description="Received at that moment or later.")] = None


class RequestRow(Told):
    reference: str
    controller: str
    campaign: str | None
    right: Right
    article: str
    state: RequestState
    level: Assurance
    received_at: datetime
    due: date
    refuse_by: RefuseBy
    days_left: int | None
    overdue: bool
    channel: str
    call_id: UUID | None
    key: str | None
    number: Annotated[
        str | None,
        Field(description="Masked; null: erased when the request was closed, or with the person's data."),
    ]
    registered_at: datetime
    closed_at: datetime | None


class RequestPage(Told):
    items: tuple[RequestRow, ...]
    next: Next


class RequestsFound(Told):
    """``controllers``: those whose requests were searched. ``more``: there are requests that are not shown."""

    controllers: tuple[str, ...]
    items: tuple[RequestRow, ...]
    more: bool


class EffectShown(Told):
    suppression: Reason | None
    stops_recording: bool
    stored_recordings: str
    identity_to_fulfil: Assurance
    refusable: bool


class BarOfRequest(Told):
    reason: str
    campaign: str
    origin: str
    proof: str
    entered_at: datetime
    removed_at: datetime | None
    removed_by: str | None
    why: str | None


class StepTaken(Told):
    seq: int
    at: datetime
    who: str
    state: RequestState
    level: Assurance
    due: date
    reason: str

    @property
    def is_erased(self) -> bool:
        """True if who took it, and why, was erased since: the register then has that word in the place of both."""
        return self.who == "erased"


class ForwardShown(Told):
    seq: int
    state: str
    tries: int
    queued_at: datetime
    webhook_at: datetime | None
    folder_at: datetime | None
    settled_at: datetime | None
    fault: str


class RequestShown(Told):
    reference: str
    right: Right
    article: str
    state: RequestState
    level: Assurance
    controller: str
    campaign: str | None
    purpose: str | None
    number: Annotated[
        str | None,
        Field(description="Masked; null: erased when the request was closed, or with the person's data."),
    ]
    number_from: str
    channel: str
    call_id: UUID | None
    key: str | None
    notice_version: str | None
    language: str | None
    received_at: datetime
    received_local: str
    registered_at: datetime
    due: date
    refuse_by: RefuseBy
    extended_at: datetime | None
    closed_at: datetime | None
    erased_at: Annotated[
        datetime | None,
        Field(
            description="When the erasure that it asks for was carried out; null: it was not, or not by ccari."
        ),
    ]
    erasing: Annotated[
        bool, Field(description="An erasure was begun on it and is not complete: it has to be run again.")
    ]
    digest: Annotated[str | None, Field(description="Keyed. None: the request has expired.")]
    key_version: int | None
    expired_at: Annotated[
        datetime | None, Field(description="Since then it no longer shows whose it was (Art 5(1)(e)).")
    ]
    effect: EffectShown
    suppressions: tuple[BarOfRequest, ...]
    recordings: tuple[RecordingRow, ...]
    history: tuple[StepTaken, ...]
    fault: Annotated[
        str | None, Field(description="How the history was altered after it was written; null: it was not.")
    ]
    forwards: tuple[ForwardShown, ...]

    @property
    def first_due(self) -> date:
        """The last day of the first month: by then the person is told of a refusal (Art 12(4)), whether it was extended or not."""
        return self.history[0].due if self.history else self.due

    @property
    def has_stopped_recording(self) -> bool:
        """True if ccari was recording the call when the right was exercised, and the right has ended that: the file goes up to
        there, and not to a pause before.
        """
        return any(
            stops_recording(self.right, LegalBasis(each.legal_basis), RecordingMode(each.mode))
            and each.started_at is not None
            and each.started_at <= self.received_at
            and (
                each.duration_ms is None
                or each.started_at + timedelta(milliseconds=each.duration_ms) >= self.received_at - _LACKING
            )
            for each in self.recordings
        )


class ClaimBody(Body):
    """A level above L0 needs a note that says how the person was identified. ``received``: null stands for now."""

    right: Right
    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    campaign: Annotated[
        Identifier | None,
        Field(
            description="The campaign that it is about, if it is one. Needed for `refuse_recording` if the controller's recordings rest on "
            "different legal bases: it is a withdrawal of consent, an objection or a request for erasure."
        ),
    ] = None
    received: When | None = None
    by: Annotated[EnteredBy, Field(description="How it was received.")] = "other"
    level: Assurance = "L0"
    note: Note = ""


class Registered(Told):
    """``barred``: the reason for which the number is barred from now on, if it is."""

    reference: str
    controller: str
    right: Right
    number: str
    state: RequestState
    received_at: datetime
    due: date
    level: Assurance
    barred: Reason | None


class VerifyBody(Body):
    level: Assurance
    how: Annotated[Said, Field(description="How the identity was verified (Art 12(6)).")]


class ReasonBody(Body):
    reason: Annotated[Said, Field(description="It is kept, and the controller is told.")]


class NoteBody(Body):
    note: Annotated[Note, Field(description="What was done.")] = ""


class Stepped(Told):
    reference: str
    right: Right
    state: RequestState
    level: Assurance
    due: date
