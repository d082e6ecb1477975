"""What people must be told of the processing that a policy amounts to, and what of that no policy says: Articles 13 and 14."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ccari.policy import notices
from ccari.policy.activities import Activity, Datum, Kind, Subject, Until, activities
from ccari.policy.bases import OBJECTABLE, LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.policy.mandate import PORTABLE
from ccari.policy.parties import Controller
from ccari.policy.recording import RECORDING_ANSWERS, RecordingMode
from ccari.policy.rights import Right


class Missing(StrEnum):
    """What a controller must tell and ccari cannot know. ``CONTACT``: also of its data protection officer; ``NUMBER_BASIS``: with the interests
    or the rights that go with it; ``DUTY``: which point of Art 6(1) covers what the GDPR itself demands or allows, and the interest or law behind
    it; ``HOST``: who works at an address that data are sent to; ``LAW``: the law behind a legal obligation, a public task or a mandatory recording.
    """

    CONTACT = "contact"
    JOINT = "joint"
    INTEREST = "interest"
    LAW = "law"
    SOURCE = "source"
    LIMIT = "limit"
    NUMBER_BASIS = "number_basis"
    DUTY = "duty"
    PUBLIC_SOURCE = "public_source"
    SPECIAL = "special"
    ELSEWHERE = "elsewhere"
    RECIPIENTS = "recipients"
    HOST = "host"
    TRANSFERS = "transfers"
    AUTHORITY = "authority"
    REQUIRED = "required"
    AUTOMATED = "automated"


_BASES_ARE_TOLD = ("13(1)(c)", "14(1)(c)")
_INTERESTS_ARE_TOLD = ("13(1)(d)", "14(2)(b)")
_RECIPIENTS_ARE_TOLD = ("13(1)(e)", "14(1)(e)")
#: The articles that demand it of the controller.
ARTICLES: Mapping[Missing, tuple[str, ...]] = {
    Missing.CONTACT: ("13(1)(a)", "13(1)(b)", "14(1)(a)", "14(1)(b)"),
    Missing.JOINT: ("13(1)(a)", "14(1)(a)", "26(2)"),
    Missing.INTEREST: _INTERESTS_ARE_TOLD,
    Missing.LAW: _BASES_ARE_TOLD,
    Missing.SOURCE: ("14(2)(f)",),
    Missing.LIMIT: ("13(2)(a)", "14(2)(a)"),
    Missing.NUMBER_BASIS: (
        *_BASES_ARE_TOLD,
        *_INTERESTS_ARE_TOLD,
        "13(2)(b)",
        "13(2)(c)",
        "14(2)(c)",
        "14(2)(d)",
    ),
    Missing.DUTY: (*_BASES_ARE_TOLD, *_INTERESTS_ARE_TOLD),
    Missing.PUBLIC_SOURCE: ("14(2)(f)",),
    Missing.SPECIAL: ("14(1)(d)", "9(2)"),
    Missing.ELSEWHERE: (*_BASES_ARE_TOLD, "13(2)(a)", "14(2)(a)"),
    Missing.RECIPIENTS: _RECIPIENTS_ARE_TOLD,
    Missing.HOST: _RECIPIENTS_ARE_TOLD,
    Missing.TRANSFERS: ("13(1)(f)", "14(1)(f)"),
    Missing.AUTHORITY: ("13(2)(d)", "14(2)(e)"),
    Missing.REQUIRED: ("13(2)(e)",),
    Missing.AUTOMATED: ("13(2)(f)", "14(2)(g)"),
}
_LAW_BEHIND = frozenset({LegalBasis.LEGAL_OBLIGATION, LegalBasis.PUBLIC_TASK})
#: What of an activity is data of others than the person: of staff.
_OF_STAFF = frozenset({Datum.AGENT, Datum.AUTHORISATION, Datum.WHO})
#: Keys that neither exercise a right nor tell or decide anything about the person's data.
_OF_THE_TELEPHONE = frozenset({KeyAction.REPEAT, KeyAction.LANGUAGE})


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that the controller must add. ``kind`` and ``campaign``: the processing that it is missing of, if that is a campaign's; ``host``: of
    the address. ``setting``: the key of the policy file where it belongs; None: the text itself.
    """

    missing: Missing
    kind: Kind | None = None
    campaign: str | None = None
    host: str | None = None
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class Processing:
    """An activity, as whoever is on the telephone is told of it: with ``data`` of theirs alone. ``marketing``: whether its calls advertise;
    ``asks_consent``: whether a call needs a consent to its purpose first; ``notice``: the prompt that announces the recording, or of ``opt_out``
    if a key refuses a recording that is only announced; ``key`` answers it; ``heeded``: the
    purposes whose calls heed registers, each with their names.
    """

    activity: Activity
    data: tuple[Datum, ...]
    gaps: tuple[Gap, ...]
    marketing: bool = False
    asks_consent: bool = False
    notice: str | None = None
    key: str | None = None
    heeded: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Menu:
    """What each key does in the calls of a campaign, by the sentence that names it (:func:`notices.sentence`). ``inbound``: also for callers."""

    campaign: str
    purpose: str
    inbound: bool
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Information:
    """What a controller's people must be told. ``objections`` are told apart from the other ``rights``, Art 21(4). ``gaps``: everything that
    is missing, in the order of the text, including what is missing of the ``processing``.
    """

    processing: tuple[Processing, ...]
    objections: tuple[Right, ...]
    rights: tuple[Right, ...]
    menus: tuple[Menu, ...]
    gaps: tuple[Gap, ...]

    @property
    def objects_by_key(self) -> bool:
        """Whether a key of some menu exercises one of the ``objections``."""
        by_key = {f"menu_{each}" for each in self.objections}
        return any(by_key.intersection(each.keys.values()) for each in self.menus)

    @property
    def objectable(self) -> list[Processing]:
        """What a person may object to on grounds of their own situation, Art 21(1), as far as the policy declares its legal basis."""
        return [each for each in self.processing if each.activity.legal_basis in OBJECTABLE]


def information(policy: Policy, controller: Controller, hosts: Sequence[str] = ()) -> Information:
    """What one controller of the policy must tell the people whom it calls, and who call it. ``hosts``: where ccari sends events."""
    campaigns = policy.campaigns_of(controller.id)
    processing = tuple(
        _told(each, policy, campaigns)
        for each in activities(policy, controller)
        if Subject.CALLED in each.subjects
    )
    return Information(
        processing,
        _objections(campaigns),
        tuple(_rights(processing, campaigns)),
        tuple(menu for each in campaigns if (menu := _menu(each)).keys),
        tuple(dict.fromkeys(_gaps(processing, hosts))),
    )


def _told(activity: Activity, policy: Policy, campaigns: Sequence[Campaign]) -> Processing:
    data = tuple(each for each in activity.data if each not in _OF_STAFF)
    gaps = tuple(_missing_of(activity))
    if activity.kind is Kind.REGISTERS:
        heeded = dict.fromkeys(
            (each.purpose, tuple(register.name for register in policy.registers_of(each)))
            for each in campaigns
            if each.registers
        )
        return Processing(activity, data, gaps, heeded=tuple(heeded))
    campaign = next((each for each in campaigns if each.id == activity.campaign), None)
    if campaign is None:
        return Processing(activity, data, gaps)
    if activity.kind is not Kind.RECORDINGS:
        return Processing(activity, data, gaps, campaign.marketing, campaign.needs_consent)
    notice, key = _announced(campaign)
    return Processing(activity, data, gaps, notice=notice, key=key)


def _announced(campaign: Campaign) -> tuple[str | None, str | None]:
    """The prompt that announces the recording, and the key that answers it. The prompt of ``notice`` knows no key, and says to hang up; where
    one refuses the recording all the same, whoever reads this is told of the key, as those of ``opt_out`` are.
    """
    mode, by_action = campaign.recording.mode, {action: key for key, action in campaign.keys.items()}
    if mode is RecordingMode.NOTICE and KeyAction.CONTINUE_UNRECORDED in by_action:
        refusable = campaign.recording.model_copy(update={"mode": RecordingMode.OPT_OUT})
        campaign = campaign.model_copy(update={"recording": refusable})
    answer = RECORDING_ANSWERS.get(campaign.recording.mode)
    return notices.recording(campaign), by_action.get(answer) if answer is not None else None


def _missing_of(activity: Activity) -> Iterator[Gap]:
    kind, campaign = activity.kind, activity.campaign
    if activity.legal_basis is LegalBasis.LEGITIMATE_INTEREST:
        yield Gap(Missing.INTEREST, kind, campaign)
    if activity.legal_basis in _LAW_BEHIND or activity.mode is RecordingMode.MANDATORY:
        yield Gap(Missing.LAW, kind, campaign)
    if activity.legal_basis is None:
        yield Gap(Missing.NUMBER_BASIS if kind is Kind.CONTACTS else Missing.DUTY)
    if kind is Kind.CALLS and activity.source is None:
        yield Gap(Missing.SOURCE, kind, campaign, setting="campaigns.data_source")
    if activity.kept.days is None and activity.kept.setting is not None:
        yield Gap(Missing.LIMIT, setting=f"controllers.{activity.kept.setting}")
    if activity.kept.until is Until.ALWAYS:
        # the GDPR asks for at least the criteria, which only whoever places a hold can say
        yield Gap(Missing.LIMIT, kind)


def _objections(campaigns: Sequence[Campaign]) -> tuple[Right, ...]:
    """Whoever may object at all is told of it: what a contact or a duty rests on, no policy says."""
    marketing = any(each.marketing for each in campaigns)
    return (Right.OBJECTION_MARKETING, Right.OBJECTION) if marketing else (Right.OBJECTION,)


def _rights(processing: Sequence[Processing], campaigns: Sequence[Campaign]) -> Iterator[Right]:
    bases = {each.activity.legal_basis for each in processing}
    modes = {each.recording.mode for each in campaigns}
    yield from (Right.ACCESS, Right.RECTIFICATION, Right.ERASURE, Right.RESTRICTION)
    if bases.intersection(PORTABLE):
        yield Right.PORTABILITY
    asked = RecordingMode.OPT_IN in modes or any(each.needs_consent for each in campaigns)
    if asked or LegalBasis.CONSENT in bases:
        yield Right.WITHDRAW_CONSENT
    if modes - {RecordingMode.OFF, RecordingMode.MANDATORY}:
        yield Right.REFUSE_RECORDING
    if any(Right.HUMAN_REVIEW in _registered_in(each) for each in campaigns):
        yield Right.HUMAN_REVIEW


def _registered_in(campaign: Campaign) -> set[Right | None]:
    by_key, by_code = campaign.keys.values(), campaign.agent_keys.values()
    return {each.right for each in by_key} | {each.right for each in by_code}


def _menu(campaign: Campaign) -> Menu:
    silent = campaign.recording.mode is RecordingMode.OFF
    left_out = _OF_THE_TELEPHONE | ({KeyAction.CONTINUE_UNRECORDED} if silent else set())
    keys = {
        key: notices.sentence(action, campaign.recording)
        for key, action in notices.in_menu_order(campaign.keys)
        if action not in left_out
    }
    return Menu(campaign.id, campaign.purpose, campaign.agent is not None, keys)


def _gaps(processing: Sequence[Processing], hosts: Sequence[str]) -> Iterator[Gap]:
    yield from (Gap(Missing.CONTACT), Gap(Missing.JOINT))
    for each in processing:
        yield from each.gaps
    yield from (Gap(Missing.PUBLIC_SOURCE), Gap(Missing.SPECIAL), Gap(Missing.ELSEWHERE))
    belongs = "controllers.recipients"
    yield Gap(Missing.RECIPIENTS, setting=belongs)
    yield from (Gap(Missing.HOST, host=each, setting=belongs) for each in hosts)
    yield from (
        Gap(each) for each in (Missing.TRANSFERS, Missing.AUTHORITY, Missing.REQUIRED, Missing.AUTOMATED)
    )
