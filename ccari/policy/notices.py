"""What is said to the callee: prompts and their words, as the campaign and the recording mode require (Art 13, 14, 21(4))."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.declaration import Campaign, Controller, Information, KeyAction, NoticePrompt, RecordingMode

#: What a confirmation to the callee says after each right.
CONFIRMATIONS = {
    KeyAction.OBJECTION_MARKETING: "right_registered_objection_marketing",
    KeyAction.OBJECTION: "right_registered_objection",
    KeyAction.ERASURE: "right_registered_erasure",
    KeyAction.RESTRICTION: "right_registered_restriction",
    KeyAction.WITHDRAW_CONSENT: "right_registered_withdraw_consent",
    KeyAction.ACCESS: "right_registered_access",
    KeyAction.RECTIFICATION: "right_registered_rectification",
    KeyAction.PORTABILITY: "right_registered_portability",
    KeyAction.HUMAN_REVIEW: "right_registered_human_review",
    KeyAction.CONTINUE_UNRECORDED: "continues_unrecorded",
}
#: In place of ``continues_unrecorded`` when some of the talk has been recorded already.
RECORDING_STOPPED = "recording_stopped"
RIGHT_FAILED = "right_failed"
GOODBYE = "goodbye"
BLOCKED_SUPPRESSED = "agent_blocked_suppressed"
BLOCKED = "agent_blocked_policy"
UNAVAILABLE = "agent_unavailable"

#: Said alike in every campaign.
COMMON = (
    *CONFIRMATIONS.values(),
    RECORDING_STOPPED,
    RIGHT_FAILED,
    GOODBYE,
    BLOCKED_SUPPRESSED,
    BLOCKED,
    UNAVAILABLE,
)

_SAID_WITH_THE_RECORDING = frozenset({KeyAction.CONTINUE_UNRECORDED, KeyAction.CONSENT_RECORDING})
#: Art 21(4): the right to object is told, keys or not.
_RIGHTS_WITHOUT_KEYS = "rights_no_keys"
_RECORDING = {
    RecordingMode.NOTICE: "recording_notice",
    RecordingMode.OPT_OUT: "recording_opt_out",
    RecordingMode.OPT_IN: "recording_opt_in",
    RecordingMode.MANDATORY: "recording_mandatory",
}


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


def sequence(campaign: Campaign, *, informed: bool) -> tuple[str, ...]:
    """The ids of the prompts that make up the notice, in the order they are played.

    ``informed``: the number has heard this wording of the information layer from this controller before. Then Art
    13(4) and 14(5)(a) ask for no repetition, and ``first_contact`` leaves it out; but a sales call says who calls and
    why each time (consumer-rights acts; PL: Art 20(1)). The recording layer is told in every call.
    """
    ids = [
        _id(campaign, prompt)
        for prompt in campaign.notice.prompts
        if _is_told(campaign, prompt, informed=informed)
    ]
    return tuple(dict.fromkeys(each for each in ids if each is not None))


def information(campaign: Campaign) -> tuple[str, ...]:
    """The ids of the information layer as a number hears it at the first contact."""
    recording = _id(campaign, NoticePrompt.RECORDING)
    return tuple(each for each in sequence(campaign, informed=False) if each != recording)


def _is_told(campaign: Campaign, prompt: NoticePrompt, *, informed: bool) -> bool:
    if prompt is NoticePrompt.RECORDING or campaign.notice.information is Information.ALWAYS:
        return True
    if prompt is NoticePrompt.RIGHTS:
        # Art 21(4): at the latest at the first communication, whoever tells the rest
        return not informed
    if campaign.notice.information is Information.NEVER:
        return False
    return not informed or (campaign.marketing and prompt in {NoticePrompt.IDENTITY, NoticePrompt.PURPOSE})


def _id(campaign: Campaign, prompt: NoticePrompt) -> str | None:
    match prompt:
        case NoticePrompt.RECORDING:
            return _RECORDING.get(campaign.recording.mode)
        case NoticePrompt.RIGHTS:
            return prompt.value if campaign.keys else _RIGHTS_WITHOUT_KEYS
        case NoticePrompt.SOURCE if campaign.data_source is None:
            return None
        case _:
            return prompt.value


def prompts(controller: Controller, campaign: Campaign, words: Words) -> tuple[Prompt, ...]:
    """Every prompt that a call of this campaign may play, with its words filled in."""
    language = campaign.language
    spoken = {
        "controller": controller.name,
        "purpose": campaign.purpose,
        "data_source": campaign.data_source or "",
        "legal_basis_words": words.basis_words(campaign.legal_basis, language),
    }
    bound = {action: key for key, action in campaign.keys.items()}
    own = dict.fromkeys((*sequence(campaign, informed=False), *sequence(campaign, informed=True)))
    if KeyAction.DATA_SOURCE in bound:
        own[NoticePrompt.SOURCE.value] = None
    made: list[Prompt] = []
    for name in own:
        template = words.template(name, language)
        answer = KeyAction.CONSENT_RECORDING if name == "recording_opt_in" else KeyAction.CONTINUE_UNRECORDED
        text = template.format_map(spoken | {"key": _word(bound, answer, words, language)})
        if name == NoticePrompt.RIGHTS.value:
            text = " ".join([text, *_menu(bound, words, language)])
        # what is said as the catalogue has it is one sound for all campaigns
        made.append(Prompt(name, language, text, None if text == template else campaign.id))
    made += [Prompt(name, language, words.template(name, language)) for name in COMMON]
    return tuple(made)


def version(notice: tuple[Prompt, ...]) -> str:
    """What names one wording of a notice: 16 hex digits over its words, in order. Changed words are a new version."""
    told = "\n".join(f"{prompt.key}\t{prompt.text}" for prompt in notice)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _menu(bound: dict[KeyAction, str], words: Words, language: str) -> list[str]:
    return [
        words.template(f"menu_{action.value}", language).format(key=words.key_word(key, language))
        for action, key in sorted(bound.items(), key=lambda binding: binding[1])
        if action not in _SAID_WITH_THE_RECORDING
    ]


def _word(bound: dict[KeyAction, str], action: KeyAction, words: Words, language: str) -> str:
    return words.key_word(bound[action], language) if action in bound else ""
