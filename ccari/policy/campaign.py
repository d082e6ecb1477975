"""One campaign of the policy file: a purpose of one controller, and the rules for its calls."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from ccari.policy.bases import LegalBasis
from ccari.policy.consent import Channel
from ccari.policy.declared import Contradiction, Count, Declared, Flag, Identifier, Words, spelt
from ccari.policy.extensions import is_extension
from ccari.policy.hours import Hours
from ccari.policy.keypad import AgentAction, KeyAction
from ccari.policy.numbers import Number, parse
from ccari.policy.presets import PRESETS, Preset
from ccari.policy.recording import RECORDING_ANSWERS, Recording, RecordingMode

#: Dial strings: one technology, the name or number once, at most one trunk. An & would fork the call, a comma add options.
_DIAL = r"[A-Za-z]+/(?:sip:)?[A-Za-z0-9_.+#*-]*\{number\}(?:@[A-Za-z0-9_.:-]+)?"
_AGENT = r"[A-Za-z]+/(?:sip:)?(?!@|$)[A-Za-z0-9_.+#*-]*(?:\{agent\})?[A-Za-z0-9_.+#*-]*(?:@[A-Za-z0-9_.:-]+)?"
_COLLEAGUE = r"[A-Za-z]+/(?:sip:)?[A-Za-z0-9_.+#*-]*\{extension\}(?:@[A-Za-z0-9_.:-]+)?"


class Information(StrEnum):
    """When the information layer (Art 13 and 14) is played."""

    ALWAYS = "always"
    FIRST_CONTACT = "first_contact"
    NEVER = "never"


class NoticePrompt(StrEnum):
    """The parts of a notice, as the policy file names them."""

    IDENTITY = "identity"
    PURPOSE = "purpose"
    BASIS = "basis"
    SOURCE = "source"
    RECORDING = "recording"
    RIGHTS = "rights"


Language = Annotated[str, spelt(r"[a-z]{2}", "must be a language in two letters, such as pl")]
#: The most that ``longest_minutes`` may be, and so the longest that a leg, or a recording, of any campaign lasts.
MOST_MINUTES = 600
#: The language of a campaign that declares none, and of prompts for an unknown campaign.
DEFAULT_LANGUAGE = "pl"


class Attempts(Declared):
    """The most calls of the campaign to one number: ``max`` in ``per_days`` days, ``total`` ever."""

    max: Annotated[Count, Field(ge=1, le=100)]
    per_days: Annotated[Count, Field(ge=1, le=366)]
    total: Annotated[Count, Field(ge=1, le=1000)] | None = None


class Notice(Declared):
    """What is said before the talk.

    ``barge_in``: the prompts that a key cuts short when they are repeated. What must still be heard is never cut short.
    """

    information: Information = Information.ALWAYS
    prompts: tuple[NoticePrompt, ...] = tuple(NoticePrompt)
    barge_in: tuple[NoticePrompt, ...] = tuple(NoticePrompt)

    def contradictions(self) -> Iterator[Contradiction]:
        for name in ("prompts", "barge_in"):
            for twice in _repeated(getattr(self, name)):
                yield Contradiction((name,), f"{twice} is listed twice")


class AnsweringMachine(Declared):
    """Have Asterisk listen for answering machines (AMD). ``message``: leave a message on them, which says no purpose."""

    message: Flag = False


class Abandoned(Declared):
    """A cap on abandoned calls: of the last ``of_calls`` that rang the callee first, at most ``max_percent`` may have found no
    agent. Above it, calls are placed more slowly.
    """

    max_percent: Annotated[Count, Field(ge=1, le=100)]
    of_calls: Annotated[Count, Field(ge=10, le=10_000)] = 100


class AgentScripts(Declared):
    """What an agent answers when asked where the number comes from (``source``), and why they are calling (``why``)."""

    source: Words | None = None
    why: Words | None = None


class AfterRight(StrEnum):
    """What happens to a call in which the callee exercises a right that bars further calls of the campaign."""

    END = "end"
    CONTINUE = "continue"


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _one_or_more(value: Any) -> Any:
    if value == []:
        raise ValueError("must be at least one span of time: leave hours out to call at any time")
    return (value,) if isinstance(value, dict | Hours) else value


class Campaign(Declared):
    """One purpose of one controller, and all that follows from its legal basis.

    ``data_source``: where the campaign's numbers come from. Left out, each number must be a contact with a source of its own.
    ``consent_required``: whether a number must have consented to ``consent_purpose``. Left out, it must if the basis is
    consent, and in all marketing: telephone law asks for consent to that in most countries (PL: PKE Art 398).
    ``consent_channel``: what the consent must have been given for: calls by people, or automatic calls.
    ``preset``: the calling rules of a country, which apply beside ``hours`` and ``attempts``. ``language``: what every call
    begins in; ``languages``: the others, which a key changes to. ``transfer``: whom an agent may hand a callee over to.
    ``ring_seconds``: how long a callee's telephone rings; ``longest_minutes``: when Asterisk hangs a call up whatever becomes of it.
    ``connect_seconds``: how long a callee waits while the agent is rung; ``abandoned``: how many may wait in vain.
    ``after_right``: whether a call goes on after an objection or the like was registered. ``agent_keys``: the agent's
    feature codes during the talk. ``agent_scripts``: the answers on the agent's card.
    """

    id: Identifier
    controller: Identifier
    purpose: Words
    legal_basis: LegalBasis
    marketing: Flag = False
    data_source: Words | None = None
    consent_required: Flag | None = None
    consent_purpose: Identifier | None = None
    consent_channel: Channel = Channel.PHONE
    registers: tuple[Identifier, ...] = ()
    language: Language = DEFAULT_LANGUAGE
    languages: tuple[Language, ...] = ()
    dial: Annotated[
        str, spelt(_DIAL, "must be one channel with {number} in it, such as PJSIP/{number}@trunk")
    ]
    agent: (
        Annotated[str, spelt(_AGENT, "must be one channel, such as PJSIP/{agent} or PJSIP/anna")] | None
    ) = None
    transfer: (
        Annotated[
            str,
            spelt(
                _COLLEAGUE,
                "must be one channel with {extension} in it, such as PJSIP/{extension} or Local/{extension}@agents",
            ),
        ]
        | None
    ) = None
    ring_seconds: Annotated[Count, Field(ge=5, le=180)] = 45
    connect_seconds: Annotated[Count, Field(ge=1, le=300)] = 30
    longest_minutes: Annotated[Count, Field(ge=5, le=MOST_MINUTES)] = 240
    caller_id: str | None = None
    preset: str | None = None
    hours: Annotated[tuple[Hours, ...], BeforeValidator(_one_or_more)] = ()
    attempts: Attempts | None = None
    abandoned: Abandoned | None = None
    recording: Recording
    notice: Notice = Notice()
    keys: dict[
        Annotated[str, spelt(r"[0-9*#]", "must be one key of a telephone: 0-9, * or #")], KeyAction
    ] = Field(default_factory=dict)
    after_right: AfterRight = AfterRight.END
    answering_machine: AnsweringMachine | None = None
    agent_keys: dict[
        Annotated[str, spelt(r"[*#][0-9]{1,3}", "must be * or # and one to three digits, such as *7")],
        AgentAction,
    ] = Field(default_factory=dict)
    agent_scripts: AgentScripts = AgentScripts()

    @property
    def needs_consent(self) -> bool:
        """Whether a call of the campaign needs a consent of the person called."""
        if self.consent_required is not None:
            return self.consent_required
        return self.marketing or self.legal_basis is LegalBasis.CONSENT

    @property
    def asks_consent_to(self) -> str:
        """The purpose that a consent must name: ``consent_purpose``, else ``marketing`` for marketing, else the campaign's id."""
        return self.consent_purpose or ("marketing" if self.marketing else self.id)

    @property
    def withdraws(self) -> str | None:
        """The purpose whose consent a withdrawal in this campaign's calls ends (Art 7(3)). None if the campaign needs no consent: a
        withdrawal there covers every consent that the controller has.
        """
        return self.asks_consent_to if self.needs_consent else None

    @property
    def spoken(self) -> tuple[str, ...]:
        """The languages of its calls, starting with the one that they begin in."""
        return tuple(dict.fromkeys((self.language, *self.languages)))

    def next_language(self, language: str) -> str:
        """The language that the language key changes to from this one."""
        languages = self.spoken
        return languages[(languages.index(language) + 1) % len(languages)]

    @property
    def ends_after_right(self) -> bool:
        return self.after_right is AfterRight.END

    @property
    def country_rules(self) -> Preset | None:
        return PRESETS[self.preset] if self.preset else None

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"must be one of {', '.join(PRESETS)}")
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

    @property
    def counts_for_days(self) -> int:
        """For how many days a call counts as an attempt to reach its number; 0 if attempts are not counted.

        Not for ``attempts.total``: that counts all calls that can still be linked to the number.
        """
        rules = self.country_rules
        return max(self.attempts.per_days if self.attempts else 0, (rules and rules.per_days) or 0)

    def contradictions(self) -> Iterator[Contradiction]:
        yield from self._about_consent()
        yield from self._about_recording()
        yield from self._about_source()
        bound: dict[KeyAction, str] = {}
        for key, action in self.keys.items():
            if action in bound:
                yield Contradiction(
                    ("keys", key), f"{action} is bound to two keys: it is already on {bound[action]}"
                )
            bound.setdefault(action, key)
        for twice in _repeated(self.registers):
            yield Contradiction(("registers",), f"{twice} is listed twice")
        yield from self._about_keypads()

    def _about_consent(self) -> Iterator[Contradiction]:
        if self.marketing and self.legal_basis in {LegalBasis.LEGAL_OBLIGATION, LegalBasis.VITAL_INTEREST}:
            yield Contradiction(
                ("legal_basis",),
                f"must not be {self.legal_basis} where marketing is true: no law requires advertising",
            )
        if self.consent_required is not False:
            return
        if self.legal_basis is LegalBasis.CONSENT:
            yield Contradiction(
                ("consent_required",),
                "must not be false where legal_basis is consent: such a call needs a consent",
            )
        if self.marketing and self.country_rules and self.country_rules.consent:
            yield Contradiction(
                ("consent_required",),
                f"must not be false for marketing: the rules of the preset {self.preset} require consent",
            )

    def _about_recording(self) -> Iterator[Contradiction]:
        mode, bound = self.recording.mode, set(self.keys.values())
        if mode is not RecordingMode.OFF and NoticePrompt.RECORDING not in self.notice.prompts:
            yield Contradiction(
                ("notice", "prompts"),
                "must contain recording: nothing may be recorded without an announcement",
            )
        needed = RECORDING_ANSWERS.get(mode)
        if needed is not None and needed not in bound:
            yield Contradiction(("recording", "mode"), f"{mode} needs a key for {needed}")
        if mode is not RecordingMode.OPT_IN and KeyAction.CONSENT_RECORDING in bound:
            yield Contradiction(("keys",), f"consent_recording is for recording.mode opt_in, not {mode}")

    def _about_keypads(self) -> Iterator[Contradiction]:
        if KeyAction.LANGUAGE in self.keys.values() and len(self.spoken) < 2:  # noqa: PLR2004 - one and another
            yield Contradiction(
                ("keys",), "the key language needs another language to change to: set languages"
            )
        codes = sorted(self.agent_keys)
        for code, longer in itertools.pairwise(codes):
            if longer.startswith(code):
                yield Contradiction(("agent_keys", longer), f"can never be entered: {code} is already a code")
        pauses = {AgentAction.PAUSE_RECORDING, AgentAction.RESUME_RECORDING} & set(self.agent_keys.values())
        if pauses and self.recording.mode is RecordingMode.MANDATORY:
            yield Contradiction(
                ("agent_keys",),
                f"{min(pauses)} cannot be used with recording.mode mandatory: a recording that a law requires cannot be left out",
            )

    def _about_source(self) -> Iterator[Contradiction]:
        if self.data_source is not None:
            return
        if KeyAction.DATA_SOURCE in self.keys.values():
            yield Contradiction(
                ("keys",), "the key data_source speaks the campaign's data_source: set data_source"
            )
        if "prompts" in self.notice.model_fields_set and NoticePrompt.SOURCE in self.notice.prompts:
            yield Contradiction(
                ("notice", "prompts"), "the prompt source speaks the campaign's data_source: set data_source"
            )

    def agent_string(self, agent: str | None) -> str | None:
        """What Asterisk dials to ring the agent; None if no agent is named, or the name could be a telephone number.

        ``agent``: the name given by the call, if any.
        """
        if self.agent is None or (agent is None and "{agent}" in self.agent):
            return None
        if agent is not None and not is_extension(agent):
            return None
        return self.agent.replace("{agent}", agent or "")

    def transfer_string(self, extension: str | None) -> str | None:
        """What Asterisk dials when an agent transfers a call to ``extension``; None if it may not go there."""
        if self.transfer is None or extension is None or not is_extension(extension):
            return None
        return self.transfer.replace("{extension}", extension)

    def dial_string(self, number: Number) -> str:
        """What Asterisk dials to call the number: the fixed template with the E.164 digits in it, and nothing else."""
        return self.dial.replace("{number}", number.digits)
