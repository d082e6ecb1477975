"""The policy file: controllers and campaigns, validated whole."""

import re
import tomllib
from collections import Counter
from datetime import time
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from ccari.policy.bases import LegalBasis
from ccari.policy.deadlines import TIME_ZONES
from ccari.policy.numbers import Number, parse
from ccari.policy.places import line_of
from ccari.policy.rights import Right

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_IDENTIFIER = r"^[a-z0-9][a-z0-9_-]{0,39}$"
#: One technology, one place for the number, one trunk: nothing that forks (&) or adds options (,).
_DIAL = re.compile(r"[A-Za-z]+/(?:sip:)?[A-Za-z0-9_.+#*-]*\{number\}(?:@[A-Za-z0-9_.:-]+)?")


class PolicyError(ValueError):
    """The policy file is wrong; the message names the key, what is wrong and what is allowed."""


class RecordingMode(StrEnum):
    OFF = "off"
    NOTICE = "notice"
    OPT_OUT = "opt_out"


class Without(StrEnum):
    """What becomes of a call that may not or cannot be recorded."""

    CONTINUE = "continue"
    HANG_UP = "hang_up"


class Information(StrEnum):
    """When the information layer (Art 13 and 14) is told."""

    ALWAYS = "always"
    FIRST_CONTACT = "first_contact"
    NEVER = "never"


class NoticePrompt(StrEnum):
    IDENTITY = "identity"
    PURPOSE = "purpose"
    BASIS = "basis"
    SOURCE = "source"
    RECORDING = "recording"
    RIGHTS = "rights"


class KeyAction(StrEnum):
    OBJECTION_MARKETING = "objection_marketing"
    ERASURE = "erasure"
    WITHDRAW_CONSENT = "withdraw_consent"
    ACCESS = "access"
    CONTINUE_UNRECORDED = "continue_unrecorded"
    DATA_SOURCE = "data_source"
    REPEAT = "repeat"

    @property
    def right(self) -> Right | None:
        """The right that the key exercises; None where it only steers the notice."""
        match self:
            case KeyAction.DATA_SOURCE | KeyAction.REPEAT:
                return None
            case KeyAction.CONTINUE_UNRECORDED:
                return Right.REFUSE_RECORDING
            case _:
                return Right(self.value)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be words on one line")
    return text


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Identifier = Annotated[str, Field(pattern=_IDENTIFIER)]


class Controller(_Declared):
    """Who decides why people are called (Art 4(7)); everything of a call belongs to one controller."""

    id: Identifier
    name: Words
    country: str
    dpo: Words

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        if value not in TIME_ZONES:
            raise ValueError(f"must be one of {', '.join(sorted(TIME_ZONES))}")
        return value


class Hours(_Declared):
    """When people may be called, in the zone of the number's people."""

    timezone: str
    days: tuple[int, ...]
    from_: time = Field(alias="from")
    to: time
    holidays: bool = False

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone such as Europe/Warsaw") from None
        return value

    @field_validator("days", mode="before")
    @classmethod
    def _parse_days(cls, value: Any) -> Any:
        days: list[int] = []
        for part in str(value).replace(" ", "").lower().split(","):
            first, _, last = part.partition("-")
            if first not in DAYS or (last and last not in DAYS):
                raise ValueError(f"must be days such as mon-fri or mon,wed,sat (of {', '.join(DAYS)})")
            start, end = DAYS.index(first), DAYS.index(last or first)
            if start > end:
                raise ValueError("must run forward in the week, such as mon-fri")
            days += range(start, end + 1)
        return tuple(sorted(set(days)))

    @field_validator("from_", "to")
    @classmethod
    def _on_the_wall(cls, value: time) -> time:
        if value.tzinfo is not None:
            raise ValueError("must be a time such as 09:00: the zone is timezone's")
        return value

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.from_ >= self.to:
            raise ValueError("from must be earlier than to")
        return self


class Attempts(_Declared):
    max: Annotated[int, Field(ge=1, le=100)]
    per_days: Annotated[int, Field(ge=1, le=366)]


class Recording(_Declared):
    mode: RecordingMode
    legal_basis: LegalBasis = LegalBasis.LEGITIMATE_INTEREST
    retention_days: Annotated[int, Field(ge=1, le=3660)] = 90
    without: Without = Without.CONTINUE

    @model_validator(mode="after")
    def _consent_is_an_act(self) -> Self:
        if self.mode is not RecordingMode.OFF and self.legal_basis is LegalBasis.CONSENT:
            raise ValueError(
                "legal_basis consent needs an act of consent before recording: not with notice or opt_out"
            )
        return self


class Notice(_Declared):
    information: Information = Information.ALWAYS
    prompts: tuple[NoticePrompt, ...] = tuple(NoticePrompt)


class Campaign(_Declared):
    """One purpose of one controller, and all that follows from its legal basis."""

    id: Identifier
    controller: Identifier
    purpose: Words
    legal_basis: LegalBasis
    marketing: bool = False
    data_source: Words
    language: str = "pl"
    dial: str
    agent: str | None = None
    caller_id: str | None = None
    hours: Hours | None = None
    attempts: Attempts | None = None
    recording: Recording
    notice: Notice = Notice()
    keys: dict[Annotated[str, Field(pattern=r"^[0-9*#]$")], KeyAction] = Field(default_factory=dict)

    @field_validator("dial")
    @classmethod
    def _dials_one_number(cls, value: str) -> str:
        if not _DIAL.fullmatch(value):
            raise ValueError("must be one channel with {number} in it, such as PJSIP/{number}@trunk")
        return value

    @field_validator("caller_id")
    @classmethod
    def _a_number(cls, value: str | None) -> str | None:
        if value is None:
            return None
        number = parse(value, "ZZ") if value.startswith("+") else None
        if not isinstance(number, Number):
            raise ValueError("must be a valid number in the form +48221234567")  # noqa: TRY004 - pydantic's
        return number.e164

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        twice = [action for action, times in Counter(self.keys.values()).items() if times > 1]
        if twice:
            raise ValueError(f"keys: {twice[0]} is bound to two keys")
        recorded = self.recording.mode is not RecordingMode.OFF
        if recorded and NoticePrompt.RECORDING not in self.notice.prompts:
            raise ValueError("notice.prompts lacks recording: nothing may be recorded unannounced")
        refusable = KeyAction.CONTINUE_UNRECORDED in self.keys.values()
        if self.recording.mode is RecordingMode.OPT_OUT and not refusable:
            raise ValueError("recording.mode opt_out needs a key for continue_unrecorded")
        return self

    def dial_string(self, number: Number) -> str:
        """What Asterisk is told to call: the constant template with E.164 digits in it, and nothing else."""
        return self.dial.replace("{number}", number.digits)


class Policy(_Declared):
    controllers: tuple[Controller, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    @model_validator(mode="after")
    def _refers_to_itself(self) -> Self:
        if not self.controllers:
            raise ValueError("controllers: declare at least one")
        for kind, ids in (("controllers", self.controllers), ("campaigns", self.campaigns)):
            twice = [name for name, times in Counter(each.id for each in ids).items() if times > 1]
            if twice:
                raise ValueError(f"{kind}: {twice[0]!r} is declared twice")
        known = {controller.id for controller in self.controllers}
        for campaign in self.campaigns:
            if campaign.controller not in known:
                raise ValueError(
                    f"campaigns: {campaign.id!r} names the controller {campaign.controller!r}, "
                    f"which is none of {', '.join(sorted(known))}"
                )
        return self

    def campaign(self, campaign_id: str) -> Campaign | None:
        return next((each for each in self.campaigns if each.id == campaign_id), None)

    def controller(self, controller_id: str) -> Controller | None:
        return next((each for each in self.controllers if each.id == controller_id), None)

    def controller_of(self, campaign: Campaign) -> Controller:
        return next(each for each in self.controllers if each.id == campaign.controller)


def read(text: str) -> Policy:
    """The policy that a TOML text declares.

    Raises
    ------
    PolicyError
        With every fault on a line of its own.
    """
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"not TOML: {error}") from None
    except ValidationError as error:
        raise PolicyError(
            "\n".join(_describe(text, fault["loc"], fault["msg"]) for fault in error.errors())
        ) from None


def _describe(text: str, where: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")
    words = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if words == "Extra inputs are not permitted":
        words = "is no known key"
    line = line_of(text, where)
    return ": ".join(part for part in (f"line {line}" if line else "", path, words) if part)
