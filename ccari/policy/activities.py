"""The processing that a policy amounts to: what a record of processing activities must contain, Article 30."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign, RecordingMode
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller
from ccari.policy.retention import Limited


class Kind(StrEnum):
    """What is done with personal data for a controller."""

    CALLS = "calls"
    RECORDINGS = "recordings"
    CONTACTS = "contacts"
    CONSENTS = "consents"
    REGISTERS = "registers"
    REQUESTS = "requests"
    BARS = "bars"
    ACCESSES = "accesses"


class Subject(StrEnum):
    """A category of data subjects, Art 30(1)(c): people whom the centre talks to by telephone; its agents; whoever works with its records."""

    CALLED = "called"
    AGENT = "agent"
    STAFF = "staff"


class Datum(StrEnum):
    """A category of personal data, Art 30(1)(c). ``NUMBER``: as a keyed digest; ``WHOLE_NUMBER``: in full."""

    NUMBER = "number"
    WHOLE_NUMBER = "whole_number"
    COURSE = "course"
    VOICE = "voice"
    AGENT = "agent"
    SOURCE = "source"
    CONSENT = "consent"
    REQUEST = "request"
    BAR = "bar"
    LOOK = "look"


class Until(StrEnum):
    """How long data are kept for which no number of days is declared, Art 30(1)(f)."""

    ERASED = "erased"
    ANSWER_PROVEN = "answer_proven"
    LIFTED = "lifted"
    NEXT_COPY = "next_copy"


@dataclass(frozen=True, slots=True)
class Kept:
    """How long: ``days``, or if that is None, ``until``. ``setting``: the key of the policy that would limit it, where none is declared."""

    days: int | None = None
    until: Until | None = None
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity. ``legal_basis``: as the policy declares it. ``articles``: those of the GDPR that demand it, of what is done for every
    controller. ``source``: None if each number has its own.
    """

    kind: Kind
    subjects: tuple[Subject, ...]
    data: tuple[Datum, ...]
    kept: Kept
    articles: tuple[str, ...] = ()
    legal_basis: LegalBasis | None = None
    campaign: str | None = None
    purpose: str | None = None
    source: str | None = None
    mode: RecordingMode | None = None
    registers: tuple[str, ...] = ()


def activities(policy: Policy, controller: Controller) -> list[Activity]:
    """What is done for one controller of the policy: for each of its campaigns, in their order, and then for all of them."""
    campaigns = policy.campaigns_of(controller.id)
    return [
        *(each for campaign in campaigns for each in _of_campaign(campaign, controller)),
        *_of_all(policy, campaigns, controller),
    ]


def _of_campaign(campaign: Campaign, controller: Controller) -> Iterator[Activity]:
    both = (Subject.CALLED, Subject.AGENT)
    yield Activity(
        Kind.CALLS, both, (Datum.NUMBER, Datum.COURSE, Datum.AGENT), _limited(controller, Limited.CALLS),
        legal_basis=campaign.legal_basis, campaign=campaign.id, purpose=campaign.purpose, source=campaign.data_source,
    )  # fmt: skip
    recording = campaign.recording
    if recording.mode is not RecordingMode.OFF:
        yield Activity(
            Kind.RECORDINGS, both, (Datum.VOICE, Datum.NUMBER, Datum.AGENT), Kept(recording.retention_days),
            legal_basis=recording.legal_basis, campaign=campaign.id, purpose=recording.purpose or campaign.purpose, mode=recording.mode,
        )  # fmt: skip


def _of_all(policy: Policy, campaigns: Sequence[Campaign], controller: Controller) -> Iterator[Activity]:
    called = (Subject.CALLED,)
    yield Activity(
        Kind.CONTACTS, called, (Datum.NUMBER, Datum.SOURCE), _limited(controller, Limited.CONTACTS), ("5(1)(a)", "14(2)(f)")
    )  # fmt: skip
    if any(each.needs_consent for each in campaigns):
        yield Activity(
            Kind.CONSENTS, called, (Datum.NUMBER, Datum.CONSENT), _limited(controller, Limited.CONSENTS), ("7(1)",)
        )  # fmt: skip
    if registers := policy.registers_heeded_by(controller.id):
        yield Activity(
            Kind.REGISTERS, called, (Datum.NUMBER,), Kept(until=Until.NEXT_COPY), registers=tuple(each.name for each in registers)
        )  # fmt: skip
    yield Activity(
        Kind.REQUESTS, called, (Datum.WHOLE_NUMBER, Datum.REQUEST), _limited(controller, Limited.REQUESTS), ("12(2)", "12(3)", "5(2)")
    )  # fmt: skip
    yield Activity(
        Kind.BARS, called, (Datum.NUMBER, Datum.BAR), Kept(until=Until.LIFTED), ("7(3)", "17(1)", "18(1)", "21(3)")
    )  # fmt: skip
    yield Activity(
        Kind.ACCESSES, (Subject.STAFF, Subject.CALLED), (Datum.LOOK, Datum.NUMBER), Kept(policy.accesses_days), ("5(2)", "32(4)")
    )  # fmt: skip


def _limited(controller: Controller, limited: Limited) -> Kept:
    days = controller.days(limited)
    if days is not None:
        return Kept(days)
    # Art 5(2): a request is what proves that it was answered
    until = Until.ANSWER_PROVEN if limited is Limited.REQUESTS else Until.ERASED
    return Kept(None, until, limited.setting)
