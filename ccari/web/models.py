"""What goes in and out over HTTP: these models validate it, and describe it in /openapi.json."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from ccari.gating.labels import label
from ccari.policy.call import Direction
from ccari.policy.declared import Identifier, Words
from ccari.policy.extensions import MOST_DIGITS, is_extension
from ccari.policy.gate import Block
from ccari.policy.rights import RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.cards import AgentCard

MOST_ROWS = 500


class _Given(BaseModel):
    """What is sent to us: nothing is known that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Body(_Given):
    model_config = ConfigDict(strict=True)


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


def _one_line(text: str) -> str:
    if text and not text.isprintable():
        raise ValueError("must be words on one line")
    return text


def _text(text: str) -> str:
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise ValueError("must be plain text")
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("must say something")
    return _text(text)


def _no_number(text: str) -> str:
    if label(text) != text:
        raise ValueError("must be a name, with no more than five digits in a row")
    return text


def _extension(text: str) -> str:
    if not is_extension(text):
        raise ValueError(f"must be somebody of your own, with no more than {MOST_DIGITS} digits in all")
    return text


def _in_our_time(moment: datetime) -> datetime:
    # near the ends of the calendar there is no reckoning with time zones
    if not 1900 <= moment.year < 3000:  # noqa: PLR2004 - as moments has it
        raise ValueError("must be a year from 1900 to 2999")
    return moment


def _as_a_day_in_our_time(day: date) -> date:
    if not 1900 <= day.year < 3000:  # noqa: PLR2004
        raise ValueError("must be a year from 1900 to 2999")
    return day


NumberText = Annotated[
    str,
    Field(
        max_length=64, description="In any usual way of writing it.", examples=["+48600100001", "600 100 001"]
    ),
]
ControllerId = Annotated[
    Identifier | None, Field(description="Whose; may be left out where the token sees only one.")
]
CampaignId = Annotated[Words, Field(description="A campaign of the policy in force.")]
AgentName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
        description=f"As the calls have it; with no more than {MOST_DIGITS} digits in all, and five in a row.",
    ),
    AfterValidator(_no_number),
    AfterValidator(_extension),
]
When = Annotated[
    str,
    Field(
        max_length=40, description="A day, or a moment, by the controller's clock.",
        examples=["2026-12-31", "2026-12-31T12:00"],
    ),
]  # fmt: skip
OneLine = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
Note = Annotated[str, Field(max_length=2000), AfterValidator(_text)]
Said = Annotated[str, Field(max_length=2000), AfterValidator(_said)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
Day = Annotated[date, AfterValidator(_as_a_day_in_our_time)]
LevelName = Annotated[
    Literal["L0", "L1", "L2"],
    Field(description="How sure it is who asks: a letter alone, a key on our call, an authenticated person."),
]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="The most rows of a page.")]
After = Annotated[str | None, Field(max_length=300, description="`next` of the page before.")]
Next = Annotated[str | None, Field(description="`after` of the next page; null: this is the last.")]


class CallPath(_Given):
    id: UUID


class RequestPath(_Given):
    reference: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}-\d{4}-\d{6,9}$")]


class AgentPath(_Given):
    id: Annotated[
        str, Field(min_length=1, max_length=40), AfterValidator(_one_line), AfterValidator(_no_number)
    ]


class GateAsk(_Body):
    number: NumberText = Field(repr=False)
    campaign: CampaignId


class GateAnswer(_Told):
    """``reason`` and ``why`` are empty where the call is allowed."""

    verdict: Literal["allow", "block"]
    reason: Block | Literal[""]
    why: str
    campaign: str
    number: str | None = None
    controller: str | None = None
    legal_basis: str | None = None


class CallOrder(_Body):
    """``agent`` is rung first, then the number; without one the number is, then the campaign's destination."""

    number: NumberText = Field(repr=False)
    campaign: CampaignId
    agent: AgentName | None = None


class CallPlaced(_Told):
    id: UUID


class CallsQuery(_Given):
    campaign: OneLine | None = None
    outcome: OneLine | None = None
    since: Annotated[Moment | None, Field(description="Opened at that moment or later.")] = None
    limit: Limit = 100
    after: After = None


class CallRow(_Told):
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


class CallPage(_Told):
    items: tuple[CallRow, ...]
    next: Next


class JournalEntry(_Told):
    seq: int
    at: datetime
    event: str
    fields: dict[str, Any]


class RecordingRow(_Told):
    id: UUID
    state: str
    legal_basis: str
    mode: str
    started_at: datetime | None
    duration_ms: int | None
    delete_at: datetime
    file: str | None


class CallShown(CallRow):
    """``whole``: nothing of the journal was changed, lost or moved; ``fault`` says what was."""

    events: tuple[JournalEntry, ...]
    recordings: tuple[RecordingRow, ...]
    whole: bool
    fault: str | None


class BarringBody(_Body):
    """``until``: its last day; null: until it is lifted."""

    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    campaign: Annotated[
        Words | None, Field(description="Only for this one; null: all of the controller's.")
    ] = None
    reason: Reason = Reason.DO_NOT_CALL
    proof: Annotated[OneLine, Field(description="Where the wish is on file.")] = ""
    until: When | None = None


class Barred(_Told):
    """``added`` is false where the number was barred for this reason already."""

    controller: str
    campaign: str | None
    number: str
    reason: Reason
    added: bool


class CheckBody(_Body):
    number: NumberText = Field(repr=False)
    controller: ControllerId = None


class Bar(_Told):
    campaign: str | None
    reason: str
    origin: str
    proof: str
    entered_at: datetime
    expires_at: datetime | None


class StandingBar(Bar):
    """``reason`` is the register's name where ``scope`` is register."""

    scope: Literal["controller", "campaign", "register"]
    stands: bool


class CheckAnswer(_Told):
    barred: bool
    bars: tuple[StandingBar, ...]


class LiftingBody(_Body):
    number: NumberText = Field(repr=False)
    why: Annotated[Words, Field(description="It is kept, with who did it and when.")]
    controller: ControllerId = None
    campaign: Annotated[
        Identifier | None, Field(description="Only the bars on this one; null: any or all.")
    ] = None
    reason: Annotated[Reason | None, Field(description="Only the bars for this one; null: any.")] = None


class Lifted(_Told):
    lifted: tuple[Bar, ...]


class SuppressionsQuery(_Given):
    controller: Identifier | None = None
    limit: Limit = 100
    after: After = None


class SuppressionRow(Bar):
    controller: str
    digest: Annotated[str, Field(description="Keyed; the number itself is not kept.")]
    key_version: int


class SuppressionPage(_Told):
    items: tuple[SuppressionRow, ...]
    next: Next


class RequestsQuery(_Given):
    controller: Identifier | None = None
    state: tuple[RequestState, ...] = ()
    right: Right | None = None
    open: Annotated[bool, Field(description="Only those that are not closed.")] = False
    overdue: Annotated[bool, Field(description="Only those whose last day is over.")] = False
    due_before: Annotated[
        Day | None, Field(description="Only those that are open and due before that day.")
    ] = None
    limit: Limit = 100
    after: After = None


class RequestRow(_Told):
    reference: str
    controller: str
    campaign: str | None
    right: Right
    article: str
    state: RequestState
    level: LevelName
    received_at: datetime
    due: date
    days_left: int | None
    overdue: bool
    channel: str
    call_id: UUID | None
    key: str | None
    number: Annotated[str | None, Field(description="Masked; null: erased with the request's closure.")]
    registered_at: datetime
    closed_at: datetime | None


class RequestPage(_Told):
    items: tuple[RequestRow, ...]
    next: Next


class EffectShown(_Told):
    suppression: Reason | None
    stops_recording: bool
    stored_recordings: str
    identity_to_fulfil: LevelName
    refusable: bool


class BarOfRequest(_Told):
    reason: str
    campaign: str
    origin: str
    proof: str
    entered_at: datetime
    removed_at: datetime | None
    removed_by: str | None
    why: str | None


class StepTaken(_Told):
    seq: int
    at: datetime
    who: str
    state: RequestState
    level: LevelName
    due: date
    reason: str


class ForwardShown(_Told):
    seq: int
    state: str
    tries: int
    queued_at: datetime
    webhook_at: datetime | None
    folder_at: datetime | None
    settled_at: datetime | None
    fault: str


class RequestShown(_Told):
    reference: str
    right: Right
    article: str
    state: RequestState
    level: LevelName
    controller: str
    campaign: str | None
    purpose: str | None
    number: Annotated[str | None, Field(description="Masked; null: erased with the request's closure.")]
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
    extended_at: datetime | None
    closed_at: datetime | None
    digest: str
    key_version: int
    effect: EffectShown
    suppressions: tuple[BarOfRequest, ...]
    recordings: tuple[RecordingRow, ...]
    history: tuple[StepTaken, ...]
    forwards: tuple[ForwardShown, ...]


class ClaimBody(_Body):
    """A level above L0 needs a note that says how the person was identified. ``received`` null: now."""

    right: Right
    number: NumberText = Field(repr=False)
    controller: ControllerId = None
    campaign: Annotated[
        Identifier | None, Field(description="The campaign that it is about, if it is one.")
    ] = None
    received: When | None = None
    by: Annotated[
        Literal["letter", "email", "phone", "agent", "other"], Field(description="How it came.")
    ] = "other"
    level: LevelName = "L0"
    note: Note = ""


class Registered(_Told):
    """``barred``: for what the number is barred from now on."""

    reference: str
    controller: str
    right: Right
    number: str
    state: RequestState
    received_at: datetime
    due: date
    level: LevelName
    barred: Reason | None


class VerifyBody(_Body):
    level: LevelName
    how: Annotated[Said, Field(description="How that was found out (Art 12(6)).")]


class ReasonBody(_Body):
    reason: Annotated[Said, Field(description="It is kept, and the controller is told.")]


class NoteBody(_Body):
    note: Annotated[Note, Field(description="What was done.")] = ""


class Stepped(_Told):
    reference: str
    right: Right
    state: RequestState
    level: LevelName
    due: date


class AgentCardEvent(RootModel[AgentCard]):
    """``data`` of an event ``agent_card``."""
