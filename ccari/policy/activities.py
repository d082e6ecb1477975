"""The processing that a policy amounts to: what a record of processing activities must contain, Article 30."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller
from ccari.policy.recording import RecordingMode
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
    HOLDS = "holds"
    AUTHORISATIONS = "authorisations"
    ACCESSES = "accesses"


class Subject(StrEnum):
    """A category of data subjects, Art 30(1)(c): people whom the centre talks to by telephone; its agents; whoever enters, decides or looks."""

    CALLED = "called"
    AGENT = "agent"
    STAFF = "staff"


class Datum(StrEnum):
    """A category of personal data, Art 30(1)(c). ``NUMBER``: as a keyed digest; ``MASKED_NUMBER``: with its last digits, too;
    ``WHOLE_NUMBER``: in full. ``WHO``: the name of who entered, changed or decided it.
    """

    NUMBER = "number"
    MASKED_NUMBER = "masked_number"
    WHOLE_NUMBER = "whole_number"
    COURSE = "course"
    VOICE = "voice"
    AGENT = "agent"
    SOURCE = "source"
    CONSENT = "consent"
    REQUEST = "request"
    BAR = "bar"
    HOLD = "hold"
    AUTHORISATION = "authorisation"
    LOOK = "look"
    WHO = "who"


class Until(StrEnum):
    """How long data are kept for which no number of days is declared, Art 30(1)(f). ``LEFT``: until the controller has left, and somebody has
    deleted its data; ``UNLISTED``: until a whole copy of the register is loaded that the number is not in.
    """

    ERASED = "erased"
    ANSWER_PROVEN = "answer_proven"
    LEFT = "left"
    UNLISTED = "unlisted"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Kept:
    """How long: ``days``, or if that is None, ``until``. ``setting``: the key of the policy that would limit it, where none is declared."""

    days: int | None = None
    until: Until | None = None
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity. ``legal_basis``: as the policy declares it. ``articles``: those of the GDPR under which it is done, of what is
    done for every controller; none of contacts, each of which has a legal basis of its own. ``source``: None if each number has its own.
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
        Kind.CALLS, both, (Datum.MASKED_NUMBER, Datum.COURSE, Datum.AGENT), _limited(controller, Limited.CALLS),
        legal_basis=campaign.legal_basis, campaign=campaign.id, purpose=campaign.purpose, source=campaign.data_source,
    )  # fmt: skip
    recording = campaign.recording
    if recording.mode is not RecordingMode.OFF:
        yield Activity(
            Kind.RECORDINGS, both, (Datum.VOICE, Datum.MASKED_NUMBER, Datum.AGENT), Kept(recording.retention_days),
            legal_basis=recording.legal_basis, campaign=campaign.id, purpose=recording.purpose or campaign.purpose, mode=recording.mode,
        )  # fmt: skip


def _of_all(policy: Policy, campaigns: Sequence[Campaign], controller: Controller) -> Iterator[Activity]:
    # whatever is entered or decided says by whom; a right that an agent enters by code names the agent
    both = (Subject.CALLED, Subject.STAFF)
    yield Activity(
        Kind.CONTACTS, both, (Datum.NUMBER, Datum.SOURCE, Datum.WHO), _limited(controller, Limited.CONTACTS)
    )
    if any(each.needs_consent for each in campaigns):
        yield Activity(
            Kind.CONSENTS, both, (Datum.NUMBER, Datum.CONSENT, Datum.WHO), _limited(controller, Limited.CONSENTS), ("7(1)",)
        )  # fmt: skip
    if registers := policy.registers_heeded_by(controller.id):
        yield Activity(
            Kind.REGISTERS, both, (Datum.NUMBER, Datum.WHO), Kept(until=Until.UNLISTED), ("21(3)", "24(1)"),
            registers=tuple(each.name for each in registers),
        )  # fmt: skip
    yield Activity(
        Kind.REQUESTS, (*both, Subject.AGENT), (Datum.WHOLE_NUMBER, Datum.REQUEST, Datum.WHO),
        _limited(controller, Limited.REQUESTS), ("12(2)", "12(3)", "5(2)"),
    )  # fmt: skip
    yield Activity(
        Kind.BARS, both, (Datum.NUMBER, Datum.BAR, Datum.WHO), Kept(until=Until.LEFT), ("7(3)", "17(1)", "18(1)", "21(3)")
    )  # fmt: skip
    yield Activity(
        Kind.HOLDS, both, (Datum.NUMBER, Datum.HOLD, Datum.WHO), Kept(until=Until.ALWAYS), ("17(3)(e)",)
    )
    yield Activity(
        Kind.AUTHORISATIONS,
        (Subject.STAFF, Subject.AGENT),
        (Datum.AUTHORISATION,),
        Kept(until=Until.ALWAYS),
        ("29", "32(4)"),
    )
    yield Activity(
        Kind.ACCESSES, both, (Datum.LOOK, Datum.NUMBER), Kept(policy.accesses_days), ("5(2)", "32(4)")
    )


def _limited(controller: Controller, limited: Limited) -> Kept:
    days = controller.days(limited)
    if days is not None:
        return Kept(days)
    # Art 5(2): a request is what proves that it was answered
    until = Until.ANSWER_PROVEN if limited is Limited.REQUESTS else Until.ERASED
    return Kept(None, until, limited.setting)
