"""The policy file: controllers and campaigns, validated whole."""

import re
import tomllib
from collections import Counter
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, HttpUrl, ValidationError, field_validator, model_validator

from ccari.policy.bases import LegalBasis
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.consent import Channel
from ccari.policy.declared import Declared, Identifier, Words
from ccari.policy.hours import Hours
from ccari.policy.numbers import Number, parse
from ccari.policy.places import line_of
from ccari.policy.presets import PRESETS, Preset
from ccari.policy.rights import Right

#: One technology, one place for the number, one trunk: nothing that forks (&) or adds options (,).
_DIAL = re.compile(r"[A-Za-z]+/(?:sip:)?[A-Za-z0-9_.+#*-]*\{number\}(?:@[A-Za-z0-9_.:-]+)?")


class PolicyError(ValueError):
    """The policy file is wrong; the message names the key, what is wrong and what is allowed."""


class RecordingMode(StrEnum):
    """How a call comes to be recorded: never, announced, unless refused, only if agreed to, or because a law demands it."""

    OFF = "off"
    NOTICE = "notice"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    MANDATORY = "mandatory"


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
    """What a key of the telephone does: exercise a right, answer to the recording, or steer what is said."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    ACCESS = "access"
    RECTIFICATION = "rectification"
    PORTABILITY = "portability"
    HUMAN_REVIEW = "human_review"
    CONTINUE_UNRECORDED = "continue_unrecorded"
    CONSENT_RECORDING = "consent_recording"
    DATA_SOURCE = "data_source"
    REPEAT = "repeat"

    @property
    def right(self) -> Right | None:
        """The right that the key exercises; None where it only steers the call."""
        match self:
            case KeyAction.DATA_SOURCE | KeyAction.REPEAT | KeyAction.CONSENT_RECORDING:
                return None
            case KeyAction.CONTINUE_UNRECORDED:
                return Right.REFUSE_RECORDING
            case _:
                return Right(self.value)


class Forwarding(Declared):
    """How a centre that is the processor passes requests on to the controller at once, Art 28(3)(e).

    ``url``: a webhook that takes signed JSON (Standard Webhooks); its secret lies with the controller's keys.
    ``folder``: where a JSON file per request is dropped.
    """

    url: HttpUrl | None = None
    folder: Annotated[str, Field(pattern=r"^/")] | None = None

    @field_validator("url")
    @classmethod
    def _sealed(cls, value: HttpUrl | None) -> HttpUrl | None:
        if (
            value is not None
            and value.scheme != "https"
            and value.host not in {"127.0.0.1", "localhost", "[::1]"}
        ):
            raise ValueError("must be https: requests hold telephone numbers")
        return value

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.url is None and self.folder is None:
            raise ValueError("needs a url or a folder")
        return self


class Controller(Declared):
    """Who decides why people are called (Art 4(7)); everything of a call belongs to one controller."""

    id: Identifier
    name: Words
    country: str
    dpo: Words
    forward: Forwarding | None = None

    @field_validator("country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        if value not in TIME_ZONES:
            raise ValueError(f"must be one of {', '.join(sorted(TIME_ZONES))}")
        return value


class Register(Declared):
    """A register of people who want no advertising, such as the Lista Robinsonów or a national Do Not Call list.

    ``max_age_days``: a campaign that needs it does not dial when the copy is older. ``consent_overrides``: a consent to
    the campaign's purpose that is newer than the listing goes before it.
    """

    id: Identifier
    name: Words
    max_age_days: Annotated[int, Field(ge=1, le=366)] = 31
    consent_overrides: bool = True


class Attempts(Declared):
    """``max`` calls of the campaign to one number in ``per_days``, and ``total`` in all."""

    max: Annotated[int, Field(ge=1, le=100)]
    per_days: Annotated[int, Field(ge=1, le=366)]
    total: Annotated[int, Field(ge=1, le=1000)] | None = None


class Recording(Declared):
    mode: RecordingMode
    legal_basis: LegalBasis = LegalBasis.LEGITIMATE_INTEREST
    retention_days: Annotated[int, Field(ge=1, le=3660)] = 90
    without: Without = Without.CONTINUE

    @model_validator(mode="after")
    def _consent_is_an_act(self) -> Self:
        by_act = self.mode in {RecordingMode.OFF, RecordingMode.OPT_IN}
        if not by_act and self.legal_basis is LegalBasis.CONSENT:
            raise ValueError(
                f"legal_basis consent needs an act of consent before recording: mode must be opt_in, not {self.mode}"
            )
        if (
            self.mode is RecordingMode.MANDATORY
            and self.without is Without.CONTINUE
            and "without" in self.model_fields_set
        ):
            raise ValueError("mode mandatory goes with without = hang_up: what a law demands is not left out")
        return self

    @property
    def must(self) -> bool:
        """True if a call that may not or cannot be recorded is not held at all."""
        return self.mode is RecordingMode.MANDATORY or (
            self.mode is not RecordingMode.OFF and self.without is Without.HANG_UP
        )


class Notice(Declared):
    information: Information = Information.ALWAYS
    prompts: tuple[NoticePrompt, ...] = tuple(NoticePrompt)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, dict | Hours) else value


class Campaign(Declared):
    """One purpose of one controller, and all that follows from its legal basis.

    ``data_source`` is where the campaign's numbers come from; left out, each number must be a contact with a source of
    its own. ``consent_required``: whether a number must have consented to ``consent_purpose``; left out, it must where
    the basis is consent and in all marketing, for which telephone law asks consent in most countries (PL: PKE Art 398).
    ``preset``: the calling rules of a country, beside ``hours`` and ``attempts``.
    """

    id: Identifier
    controller: Identifier
    purpose: Words
    legal_basis: LegalBasis
    marketing: bool = False
    data_source: Words | None = None
    consent_required: bool | None = None
    consent_purpose: Identifier | None = None
    registers: tuple[Identifier, ...] = ()
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "pl"
    dial: str
    agent: str | None = None
    caller_id: str | None = None
    preset: str | None = None
    hours: Annotated[tuple[Hours, ...], BeforeValidator(_one_or_more)] = ()
    attempts: Attempts | None = None
    recording: Recording
    notice: Notice = Notice()
    keys: dict[Annotated[str, Field(pattern=r"^[0-9*#]$")], KeyAction] = Field(default_factory=dict)

    @property
    def needs_consent(self) -> bool:
        if self.consent_required is not None:
            return self.consent_required
        return self.marketing or self.legal_basis is LegalBasis.CONSENT

    @property
    def asks_consent_to(self) -> str:
        """The purpose that a consent must name: ``marketing``, or what the campaign says, or the campaign itself."""
        return self.consent_purpose or ("marketing" if self.marketing else self.id)

    @property
    def consent_channel(self) -> Channel:
        return Channel.PHONE

    @property
    def country_rules(self) -> Preset | None:
        return PRESETS[self.preset] if self.preset else None

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"must be one of {', '.join(PRESETS)}")
        return value

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
        if self.consent_required is False and self.legal_basis is LegalBasis.CONSENT:
            raise ValueError("legal_basis consent with consent_required = false: a call on consent needs one")
        self._check_recording()
        self._check_source()
        return self

    def _check_recording(self) -> None:
        mode, bound = self.recording.mode, set(self.keys.values())
        if mode is not RecordingMode.OFF and NoticePrompt.RECORDING not in self.notice.prompts:
            raise ValueError("notice.prompts lacks recording: nothing may be recorded unannounced")
        if mode is RecordingMode.OPT_OUT and KeyAction.CONTINUE_UNRECORDED not in bound:
            raise ValueError("recording.mode opt_out needs a key for continue_unrecorded")
        if mode is RecordingMode.OPT_IN and KeyAction.CONSENT_RECORDING not in bound:
            raise ValueError("recording.mode opt_in needs a key for consent_recording")
        if mode is not RecordingMode.OPT_IN and KeyAction.CONSENT_RECORDING in bound:
            raise ValueError(f"keys: consent_recording is for recording.mode opt_in, not {mode}")

    def _check_source(self) -> None:
        if self.data_source is not None:
            return
        if KeyAction.DATA_SOURCE in self.keys.values():
            raise ValueError("keys: data_source needs the campaign's data_source, which is what it says")
        if "prompts" in self.notice.model_fields_set and NoticePrompt.SOURCE in self.notice.prompts:
            raise ValueError("notice.prompts: source needs the campaign's data_source, which is what it says")

    def dial_string(self, number: Number) -> str:
        """What Asterisk is told to call: the constant template with E.164 digits in it, and nothing else."""
        return self.dial.replace("{number}", number.digits)


class Policy(Declared):
    controllers: tuple[Controller, ...] = ()
    registers: tuple[Register, ...] = ()
    campaigns: tuple[Campaign, ...] = ()

    @model_validator(mode="after")
    def _refers_to_itself(self) -> Self:
        if not self.controllers:
            raise ValueError("controllers: declare at least one")
        kinds: dict[str, tuple[Controller | Register | Campaign, ...]] = {
            "controllers": self.controllers,
            "registers": self.registers,
            "campaigns": self.campaigns,
        }
        for kind, ids in kinds.items():
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
            unknown = set(campaign.registers) - {register.id for register in self.registers}
            if unknown:
                raise ValueError(
                    f"campaigns: {campaign.id!r} needs the register {min(unknown)!r}, which is not declared"
                )
        return self

    def registers_of(self, campaign: Campaign) -> tuple[Register, ...]:
        """The registers that a campaign's numbers may not be in, each no older than the preset of its country asks."""
        rules = campaign.country_rules
        asked = rules.register_days if rules and rules.register_days else None
        return tuple(
            each if asked is None else each.model_copy(update={"max_age_days": min(asked, each.max_age_days)})
            for each in self.registers
            if each.id in campaign.registers
        )

    def register(self, register_id: str) -> Register | None:
        return next((each for each in self.registers if each.id == register_id), None)

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
        raise PolicyError(_describe_syntax(text, str(error))) from None
    except ValidationError as error:
        raise PolicyError(
            "\n".join(_describe(text, fault["loc"], fault["msg"]) for fault in error.errors())
        ) from None


def _describe_syntax(text: str, message: str) -> str:
    where = re.search(r" \(at line (\d+), column \d+\)", message)
    if where is None:
        return f"not TOML: {message}"
    line = int(where[1])
    shown = text.splitlines()[line - 1].strip()
    words = (
        "is there already" if "overwrite" in message or "Duplicate" in message else f"is not TOML: {message}"
    )
    return f"line {line}: {shown}: {words}"


def _describe(text: str, where: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")
    words = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if words == "Extra inputs are not permitted":
        words = "is no known key"
    line = line_of(text, where)
    return ": ".join(part for part in (f"line {line}" if line else "", path, words) if part)
