"""What a policy may say, but a data-protection officer would question."""

from collections.abc import Callable, Iterator

from ccari.policy import accesses
from ccari.policy.bases import OBJECTABLE, LegalBasis
from ccari.policy.campaign import Campaign, Information, NoticePrompt
from ccari.policy.consent import Channel
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.policy.parties import Controller
from ccari.policy.presets import PRESETS
from ccari.policy.recording import RecordingMode
from ccari.policy.retention import Limited

#: A year, and some days for what falls due at its end.
_LONG_DAYS = 400

#: What a controller keeps if it has declared no limit.
_WITHOUT_LIMIT = {
    Limited.CALLS: "the link between calls and persons until those persons ask for erasure",
    Limited.REQUESTS: "the link between closed requests and persons for ever",
    Limited.CONSENTS: "consents that have ended until the persons ask for erasure",
    Limited.CONTACTS: "contacts that are no longer on any list until the persons ask for erasure",
}


def doubts(policy: Policy) -> Iterator[str]:
    """One sentence for each doubt: the campaign, what is doubtful under which article, and what would settle it."""
    if policy.accesses_days > accesses.DEFAULT_DAYS:
        yield (
            f"the record of accesses is kept for {policy.accesses_days} days (Art 5(1)(e)): shorten accesses_days, or keep on file "
            "why it is needed for so long"
        )
    for controller in policy.controllers:
        for limited, kept in _WITHOUT_LIMIT.items():
            if controller.days(limited) is None:
                yield (
                    f"{controller.id!r} keeps {kept} (Art 5(1)(e), 25(2)): set {limited.setting}, or keep on file why there is "
                    "no limit"
                )
        if not controller.recipients:
            yield (
                f"{controller.id!r} names nobody who receives data: who asks must be told each by name, the contact centre and whoever works "
                "behind a webhook too (Art 15(1)(c); CJEU C-154/21): list them under [[controllers.recipients]], or keep on file "
                "that there are none"
            )
    for campaign in policy.campaigns:
        controller = policy.controller_of(campaign)
        for ask in _QUESTIONS:
            for doubt in ask(controller, campaign):
                yield f"{campaign.id!r} {doubt}"


def _notice(_: Controller, campaign: Campaign) -> Iterator[str]:
    prompts = campaign.notice.prompts
    if NoticePrompt.RIGHTS not in prompts:
        yield "never tells people their rights (Art 13(2)(b), 14(2)(c), 21(4)): add rights to notice.prompts"
    if NoticePrompt.IDENTITY not in prompts:
        yield "never says on whose behalf it calls (Art 14(1)): add identity to notice.prompts"
    if campaign.notice.information is Information.FIRST_CONTACT and campaign.answering_machine is None:
        yield (
            "treats everyone whose number answered once, even a mailbox, as informed (Art 13(4), 14(5)(a)): set answering_machine, "
            'or notice.information = "always"'
        )
    if campaign.marketing and NoticePrompt.PURPOSE not in prompts:
        yield "sells without saying so at the start (PL: consumer-rights act, Art 20(1)): add purpose to notice.prompts"


def _consent(controller: Controller, campaign: Campaign) -> Iterator[str]:
    if not campaign.marketing:
        return
    if campaign.legal_basis not in {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTEREST}:
        yield (
            f"is marketing on the basis of {campaign.legal_basis}: advertising is necessary neither for a contract with the person (Art 6(1)(b); "
            "EDPB guidelines 2/2019) nor for a public task: set consent or legitimate_interest, or keep on file why it is"
        )
    if campaign.consent_required is False:
        yield (
            "is marketing with consent_required = false: telephone law requires prior consent in most countries "
            "(PL: PKE Art 398): leave it out, or keep on file why none is needed"
        )
    machine = campaign.answering_machine
    calls_by_itself = campaign.abandoned is not None or (machine is not None and machine.message)
    if campaign.needs_consent and calls_by_itself and campaign.consent_channel is Channel.PHONE:
        by = "answering_machine.message" if campaign.abandoned is None else "abandoned"
        yield (
            f"is marketing in which a machine calls ({by}) on consents to calls by people: automatic calling systems need a consent of "
            'their own (ePrivacy directive, Art 13(1); PL: PKE Art 398(1)): set consent_channel = "automatic_calls", or leave no message, '
            "and keep on file why an agent is always on the line"
        )
    if not campaign.hours and not (campaign.country_rules and campaign.country_rules.hours):
        yield "is marketing at any hour of any day: set hours, or name a preset that has them"
    if campaign.preset is None and controller.country in PRESETS:
        yield (
            f"is marketing without the calling rules of the controller's country: "
            f'add preset = "{controller.country}" (ccari policy presets)'
        )
    if campaign.country_rules and campaign.country_rules.register_days and not campaign.registers:
        yield (
            f"checks no register, but the rules of its preset {campaign.preset} require one no older than "
            f"{campaign.country_rules.register_days} days: declare it under [[registers]] and name it in registers"
        )


def _keys(_: Controller, campaign: Campaign) -> Iterator[str]:
    bound = set(campaign.keys.values())
    if campaign.legal_basis is LegalBasis.CONSENT and KeyAction.WITHDRAW_CONSENT not in bound:
        yield (
            "calls on the basis of consent but has no key to withdraw it, which must be as easy as giving it (Art 7(3)): "
            "bind withdraw_consent"
        )
    # an objection to marketing is absolute, 21(3); registered as a plain objection, it would be weighed
    objection = KeyAction.OBJECTION_MARKETING if campaign.marketing else KeyAction.OBJECTION
    if campaign.legal_basis in OBJECTABLE and objection not in bound:
        yield f"calls on the basis of {campaign.legal_basis} but has no key to object (Art 21): bind {objection}"


def _agreement(_: Controller, campaign: Campaign) -> Iterator[str]:
    recording = campaign.recording
    if recording.mode is not RecordingMode.OPT_IN:
        return
    taking_back = {KeyAction.CONTINUE_UNRECORDED, KeyAction.WITHDRAW_CONSENT}
    if not taking_back & {*campaign.keys.values()}:
        yield (
            "records by agreement but has no key to withdraw the agreement, which must be as easy as giving it (Art 7(3)): "
            "bind continue_unrecorded"
        )
    if recording.legal_basis is not LegalBasis.CONSENT:
        yield (
            f"asks people to agree to be recorded, which they can withdraw, but is based on {recording.legal_basis}: withdrawing it "
            "deletes no recording (Art 5(1)(a)): leave recording.legal_basis out, or keep on file why"
        )
    if recording.purpose is None:
        yield (
            "asks people to agree to be recorded, but does not say what for (Art 4(11), 13(1)(c)): set recording.purpose, "
            "or keep on file where people are told"
        )


def _recording(controller: Controller, campaign: Campaign) -> Iterator[str]:
    recording = campaign.recording
    unasked = recording.mode in {RecordingMode.NOTICE, RecordingMode.OPT_OUT}
    if unasked and "DE" in {controller.country, campaign.preset}:
        yield (
            f"records everyone who does not object ({recording.mode}), but German law requires agreement first (StGB §201): "
            "set recording.mode to opt_in, or keep on file why none is needed"
        )
    is_obligation = recording.legal_basis is LegalBasis.LEGAL_OBLIGATION
    if is_obligation and recording.mode in {RecordingMode.OPT_OUT, RecordingMode.OPT_IN}:
        yield (
            f"lets people refuse ({recording.mode}) a recording that rests on legal_obligation, which is then kept in spite of an erasure "
            "(Art 17(3)(b)): set recording.mode to mandatory if a law requires it, and otherwise another recording.legal_basis"
        )
    if recording.mode is RecordingMode.MANDATORY and not is_obligation:
        yield (
            f"makes recording mandatory, but recording.legal_basis is {recording.legal_basis}: "
            "name the law that requires it and set legal_obligation, or let people refuse (opt_out)"
        )


def _retention(controller: Controller, campaign: Campaign) -> Iterator[str]:
    recording = campaign.recording
    if recording.mode is RecordingMode.OFF or recording.legal_basis is LegalBasis.LEGAL_OBLIGATION:
        return
    if controller.calls_days is not None and recording.retention_days > controller.calls_days:
        yield (
            f"keeps recordings for {recording.retention_days} days, and with them their calls, which are to expire after "
            f"{controller.calls_days}: shorten recording.retention_days, or raise the controller's calls_days"
        )
    if recording.retention_days > _LONG_DAYS:
        yield (
            f"keeps recordings for {recording.retention_days} days (Art 5(1)(e)): "
            "shorten recording.retention_days, or keep on file why they are needed for so long"
        )


def _caller_id(_: Controller, campaign: Campaign) -> Iterator[str]:
    if campaign.caller_id is None:
        yield (
            "has no caller_id: Asterisk then calls anonymously, unless the trunk has from_user and from_domain (DE: forbidden for "
            "advertising, TDDDG §15(2)): set caller_id"
        )


def _destinations(_: Controller, campaign: Campaign) -> Iterator[str]:
    for key, template, name in (
        ("agent", campaign.agent, "{agent}"), ("transfer", campaign.transfer, "{extension}"),
    ):  # fmt: skip
        if template is not None and name in template and _peer(template) == _peer(campaign.dial) != "":
            yield (
                f"rings whom a call names over the trunk that it dials numbers over, where a name such as 112 is somebody "
                f"of the public network whom no gate has asked about: set {key} to where only your own phones are"
            )


def _peer(dial: str) -> str:
    """The trunk or other peer that a dial string uses, as Asterisk compares peers; "" if it names none."""
    technology, _, rest = dial.partition("/")
    peer = rest.partition("@")[2]
    return f"{technology}/{peer}".lower() if peer else ""


_QUESTIONS: tuple[Callable[[Controller, Campaign], Iterator[str]], ...] = (
    _notice,
    _consent,
    _keys,
    _agreement,
    _recording,
    _retention,
    _caller_id,
    _destinations,
)
