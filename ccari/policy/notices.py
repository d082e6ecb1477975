"""What is said to the callee: prompts and their words, as the campaign and the recording mode require (Art 13, 14, 21(4))."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ccari.policy import confirmations, speech
from ccari.policy.bases import OBJECTABLE
from ccari.policy.campaign import (
    Campaign,
    Information,
    NoticePrompt,
    Recording,
    RecordingMode,
    stops_recording,
)
from ccari.policy.keypad import KeyAction
from ccari.policy.parties import Controller
from ccari.policy.rights import Right

#: In answer to the key that agrees to the recording.
RECORDING_AGREED = "recording_agreed"
RIGHT_FAILED = "right_failed"
#: In its place where a person is known by no number.
NUMBER_WITHHELD = "number_withheld"
KEY_UNKNOWN = "key_unknown"
#: In answer to who asks where the number is from: the contact's own source, where it can be said, else the campaign's.
SOURCE_ASKED = "source_asked"
GOODBYE = "goodbye"
#: To a callee for whom no agent came.
ABANDONED = "abandoned"
TRANSFER_WAIT = "transfer_wait"
TRANSFER_FAILED = "transfer_failed"
MACHINE_MESSAGE = "machine_message"
BLOCKED_SUPPRESSED = "agent_blocked_suppressed"
BLOCKED = "agent_blocked_policy"
UNAVAILABLE = "agent_unavailable"
AGENT_RIGHT_REGISTERED = "agent_right_registered"
AGENT_RIGHT_FAILED = "agent_right_failed"
AGENT_CODE_UNKNOWN = "agent_code_unknown"
AGENT_RECORDING_STARTED = "agent_recording_started"
AGENT_RECORDING_STOPPED = "agent_recording_stopped"
AGENT_RECORDING_PAUSED = "agent_recording_paused"
AGENT_CALL_RECORDED = "agent_call_recorded"
AGENT_TRANSFER_FAILED = "agent_transfer_failed"

#: First of all, in the language that a key changes to.
_LANGUAGE_OFFER = "language_offer"
#: To somebody who calls.
_IDENTITY_INBOUND = "identity_inbound"

#: Said alike in every campaign.
COMMON = (
    *confirmations.CONFIRMATIONS.values(),
    confirmations.ANSWER_FOLLOWS,
    confirmations.RECORDING_STOPPED,
    RECORDING_AGREED,
    RIGHT_FAILED,
    NUMBER_WITHHELD,
    KEY_UNKNOWN,
    confirmations.REFERENCE_IS,
    confirmations.ANSWER_BY,
    *speech.PROMPTS,
    GOODBYE,
    ABANDONED,
    TRANSFER_WAIT,
    TRANSFER_FAILED,
    BLOCKED_SUPPRESSED,
    BLOCKED,
    UNAVAILABLE,
    AGENT_RIGHT_REGISTERED,
    AGENT_RIGHT_FAILED,
    AGENT_CODE_UNKNOWN,
    AGENT_RECORDING_STARTED,
    AGENT_RECORDING_STOPPED,
    AGENT_RECORDING_PAUSED,
    AGENT_CALL_RECORDED,
    AGENT_TRANSFER_FAILED,
)

#: Art 21(4): the right to object is told, keys or not.
_RIGHTS_WITHOUT_KEYS = "rights_no_keys"
_RECORDING_PURPOSE = "recording_purpose"
_RECORDING = {
    RecordingMode.NOTICE: "recording_notice",
    RecordingMode.OPT_OUT: "recording_opt_out",
    RecordingMode.OPT_IN: "recording_opt_in",
    RecordingMode.MANDATORY: "recording_mandatory",
}
#: In their place where the call ends rather than go on unrecorded: to say anything else would be to deceive.
_RECORDING_OR_END = {
    RecordingMode.OPT_OUT: "recording_opt_out_or_end",
    RecordingMode.OPT_IN: "recording_opt_in_or_end",
}
#: What the key does that the notice of the recording names.
_ANSWER = {
    RecordingMode.OPT_OUT: KeyAction.CONTINUE_UNRECORDED,
    RecordingMode.OPT_IN: KeyAction.CONSENT_RECORDING,
}
#: Art 21(4): told before the other rights, each in a sentence of its own; and what is no right after them.
_FIRST = (KeyAction.OBJECTION_MARKETING, KeyAction.OBJECTION)
_LAST = (KeyAction.DATA_SOURCE, KeyAction.REPEAT)


class Words(Protocol):
    """The catalogue of prompt texts, by language."""

    def template(self, id: str, language: str) -> str: ...  # noqa: A002 - the catalogue's own word

    def key_word(self, key: str, language: str) -> str: ...

    def basis_words(self, basis: str, language: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """One sound that is played whole.

    ``campaign`` is None for what is said alike in every campaign (a confirmation, say); else the words hold what is
    the campaign's own: who calls, why, where the number comes from, which key does what.
    """

    id: str
    language: str
    text: str
    campaign: str | None = None

    @property
    def key(self) -> str:
        """Where the sound lies below the sounds folder, without its ending: ``pl/renewals/identity``."""
        return "/".join(part for part in (self.language, self.campaign, self.id) if part)


def sequence(campaign: Campaign, *, informed: bool, inbound: bool = False) -> tuple[str, ...]:
    """The ids of the prompts that make up the notice, in the order they are played.

    ``informed``: the number has heard this wording of the information layer from this controller before. Then Art
    13(4) and 14(5)(a) ask for no repetition, and ``first_contact`` leaves it out; but a sales call says who calls and
    why each time (consumer-rights acts; PL: Art 20(1)). The recording layer is told in every call. ``inbound``: the
    person calls, and is not told that we do.
    """
    ids = [
        _id(campaign, prompt, inbound=inbound)
        for prompt in campaign.notice.prompts
        if _is_told(campaign, prompt, informed=informed)
    ]
    offer = (_LANGUAGE_OFFER,) if KeyAction.LANGUAGE in campaign.keys.values() else ()
    return tuple(dict.fromkeys((*offer, *(each for each in ids if each is not None))))


def information(campaign: Campaign, *, inbound: bool = False) -> tuple[str, ...]:
    """The ids of the information layer as a number hears it at the first contact."""
    recording = _id(campaign, NoticePrompt.RECORDING)
    told = sequence(campaign, informed=False, inbound=inbound)
    return tuple(each for each in told if each != recording)


def repeated(campaign: Campaign) -> tuple[str, ...]:
    """What is said again of the recording to somebody who is handed over; who has agreed to it is not asked again."""
    said = _id(campaign, NoticePrompt.RECORDING)
    return () if said is None or campaign.recording.mode is RecordingMode.OPT_IN else (said,)


def wordings(campaign: Campaign) -> frozenset[tuple[str, ...]]:
    """Every sequence of prompts that is proven, or remembered, as one: whole notices, and information layers."""
    ways = (False, True)
    told = {sequence(campaign, informed=informed, inbound=inbound) for informed in ways for inbound in ways}
    return frozenset(told | {information(campaign, inbound=inbound) for inbound in ways})


def skippable(campaign: Campaign) -> frozenset[str]:
    """The ids of what a key may cut short when it is said once more."""
    ids = (
        _id(campaign, prompt, inbound=inbound)
        for prompt in campaign.notice.barge_in
        for inbound in (False, True)
    )
    asked = {SOURCE_ASKED} if NoticePrompt.SOURCE in campaign.notice.barge_in else set()
    return frozenset(each for each in ids if each is not None) | asked


def _is_told(campaign: Campaign, prompt: NoticePrompt, *, informed: bool) -> bool:
    if prompt is NoticePrompt.RECORDING or campaign.notice.information is Information.ALWAYS:
        return True
    if campaign.marketing and prompt in {NoticePrompt.IDENTITY, NoticePrompt.PURPOSE}:
        return True
    if prompt is NoticePrompt.RIGHTS:
        # Art 21(4): at the latest at the first communication, whoever tells the rest
        return not informed
    return not informed and campaign.notice.information is not Information.NEVER


def _id(campaign: Campaign, prompt: NoticePrompt, *, inbound: bool = False) -> str | None:
    match prompt:
        case NoticePrompt.IDENTITY if inbound:
            return _IDENTITY_INBOUND
        case NoticePrompt.RECORDING:
            return recording(campaign)
        case NoticePrompt.RIGHTS:
            return prompt.value if _menu(campaign) else _RIGHTS_WITHOUT_KEYS
        case NoticePrompt.SOURCE if campaign.data_source is None:
            return None
        case _:
            return prompt.value


def recording(campaign: Campaign) -> str | None:
    """The id of what tells of the recording; None where there is none."""
    mode = campaign.recording.mode
    said = _RECORDING.get(mode)
    return _RECORDING_OR_END.get(mode, said) if campaign.recording.must else said


def prompts(
    controller: Controller, campaign: Campaign, words: Words, language: str | None = None
) -> tuple[Prompt, ...]:
    """Every prompt that a call of this campaign may play in one of its languages, with its words filled in.

    ``language``: None for the one that its calls begin in.
    """
    language = language or campaign.language
    spoken = {
        "controller": controller.name,
        "purpose": campaign.purpose,
        "recording_purpose": campaign.recording.purpose or "",
        "data_source": campaign.data_source or "",
        "legal_basis_words": words.basis_words(campaign.legal_basis, language),
    }
    named = _ANSWER.get(campaign.recording.mode)
    spoken["key"] = next(
        (words.key_word(key, language) for key, action in campaign.keys.items() if action is named), ""
    )
    own = dict.fromkeys(
        (*sequence(campaign, informed=False), *sequence(campaign, informed=True), *_inbound_only(campaign))
    )
    if KeyAction.DATA_SOURCE in campaign.keys.values():
        own[NoticePrompt.SOURCE.value] = None
    if campaign.answering_machine is not None and campaign.answering_machine.message:
        own[MACHINE_MESSAGE] = None
    made: list[Prompt] = []
    if own.pop(_LANGUAGE_OFFER, ()) is None:
        made.append(_language_offer(campaign, words, language))
    for name in own:
        template = words.template(name, language)
        text = template.format_map(spoken)
        if name == recording(campaign) and campaign.recording.purpose:
            # Art 4(11), 13(1)(c): what for, before anybody agrees
            text = f"{words.template(_RECORDING_PURPOSE, language).format_map(spoken)} {text}"
        if name == NoticePrompt.RIGHTS.value:
            text = " ".join([text, *_rights(campaign, words, language)])
        # what is said as the catalogue has it is one sound for all campaigns
        made.append(Prompt(name, language, text, None if text == template else campaign.id))
    made += [Prompt(name, language, words.template(name, language)) for name in COMMON]
    return tuple(made)


def _language_offer(campaign: Campaign, words: Words, language: str) -> Prompt:
    """Offers the language that comes after ``language``, in that language: who needs it would not understand another."""
    other = campaign.next_language(language)
    key = next(key for key, action in campaign.keys.items() if action is KeyAction.LANGUAGE)
    text = words.template("menu_language", other).format(key=words.key_word(key, other))
    return Prompt(_LANGUAGE_OFFER, other, text, campaign.id)


def _inbound_only(campaign: Campaign) -> tuple[str, ...]:
    """What only somebody who calls is told; nobody can be connected to a campaign that names no agent."""
    return () if campaign.agent is None else sequence(campaign, informed=False, inbound=True)


def source(told: str, words: Words, language: str) -> Prompt:
    """What says a source of contacts, such as a list's; alike in every campaign."""
    name = f"source-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    text = words.template(NoticePrompt.SOURCE.value, language).format(data_source=told)
    return Prompt(name, language, text)


def version(notice: tuple[Prompt, ...]) -> str:
    """What names one wording of a notice: 16 hex digits over its words, in order. Changed words are a new version."""
    return wording((prompt.key, prompt.text) for prompt in notice)


def wording(said: Iterable[tuple[str, str]]) -> str:
    """The version of a notice, from the key and the words of each of its prompts."""
    told = "\n".join(f"{key}\t{text}" for key, text in said)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def audio(files: Mapping[str, str]) -> str:
    """What names the sound of a prompt, whichever of its files was played: SHA-256 in hex, over the ending of each and
    the SHA-256 in hex of its content.
    """
    told = json.dumps(dict(files), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def _rights(campaign: Campaign, words: Words, language: str) -> list[str]:
    """A sentence for each key; and where they let nobody object who may, that it can be said to the agent."""
    menu = _menu(campaign)
    told = [
        words.template(name, language).format(key=words.key_word(key, language)) for key, name in menu.items()
    ]
    bound = {campaign.keys[key] for key in menu}
    rights = {action.right for action in bound} - {None, Right.REFUSE_RECORDING}
    objection = KeyAction.OBJECTION_MARKETING if campaign.marketing else KeyAction.OBJECTION
    may_object = campaign.marketing or campaign.legal_basis in OBJECTABLE
    if not rights or (may_object and objection not in bound):
        told.append(words.template(_RIGHTS_WITHOUT_KEYS, language))
    return told


def _as_told(bound: tuple[str, KeyAction]) -> tuple[int, str]:
    key, action = bound
    return (action in _LAST) - (action in _FIRST), key


def _menu(campaign: Campaign) -> dict[str, str]:
    """The ids of the sentences that tell the keys, by key; but for what is told with the recording."""
    rules = campaign.recording
    untold = {_ANSWER.get(rules.mode), KeyAction.LANGUAGE}
    if rules.mode is RecordingMode.OFF:
        untold.add(KeyAction.CONTINUE_UNRECORDED)
    return {
        key: _sentence(action, rules)
        for key, action in sorted(campaign.keys.items(), key=_as_told)
        if action not in untold
    }


def _sentence(action: KeyAction, rules: Recording) -> str:
    """The id of what tells of a key: also what it does to the recording, Art 4(11) and 7(3), and to the call."""
    match action:
        case KeyAction.CONTINUE_UNRECORDED if rules.must:
            return "menu_refuse_recording"
        case KeyAction.WITHDRAW_CONSENT if stops_recording(
            Right.WITHDRAW_CONSENT, rules.legal_basis, rules.mode
        ):
            return "menu_withdraw_consent_or_end" if rules.must else "menu_withdraw_consent_recording"
        case _:
            return f"menu_{action.value}"
