"""What is said to the callee: prompts and their words, as the campaign and the recording mode require (Art 13, 14, 21(4))."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.declaration import Campaign, Controller, Information, KeyAction, NoticePrompt, RecordingMode

#: What a confirmation to the callee says after each right.
CONFIRMATIONS = {
    KeyAction.OBJECTION_MARKETING: "right_registered_objection_marketing",
    KeyAction.ERASURE: "right_registered_erasure",
    KeyAction.WITHDRAW_CONSENT: "right_registered_withdraw_consent",
    KeyAction.ACCESS: "right_registered_access",
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

#: Art 21(4): the right to object is told, keys or not.
_RIGHTS_WITHOUT_KEYS = "rights_no_keys"
_RECORDING = {RecordingMode.NOTICE: "recording_notice", RecordingMode.OPT_OUT: "recording_opt_out"}


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


def sequence(campaign: Campaign) -> tuple[str, ...]:
    """The ids of the prompts that make up the notice, in the order they are played.

    Until what a number has heard is remembered, each call counts as a first contact: too much information is no
    breach, too little is one.
    """
    informs = campaign.notice.information is not Information.NEVER
    ids: list[str] = []
    for prompt in campaign.notice.prompts:
        if prompt is NoticePrompt.RECORDING:
            if campaign.recording.mode in _RECORDING:
                ids.append(_RECORDING[campaign.recording.mode])
        elif prompt is NoticePrompt.RIGHTS:
            ids.append(prompt.value if campaign.keys else _RIGHTS_WITHOUT_KEYS)
        elif informs:
            ids.append(prompt.value)
    return tuple(ids)


def prompts(controller: Controller, campaign: Campaign, words: Words) -> tuple[Prompt, ...]:
    """Every prompt that a call of this campaign may play, with its words filled in."""
    language = campaign.language
    spoken = {
        "controller": controller.name,
        "purpose": campaign.purpose,
        "data_source": campaign.data_source,
        "legal_basis_words": words.basis_words(campaign.legal_basis, language),
    }
    bound = {action: key for key, action in campaign.keys.items()}
    own = dict.fromkeys(sequence(campaign))
    if KeyAction.DATA_SOURCE in bound:
        own[NoticePrompt.SOURCE.value] = None
    made: list[Prompt] = []
    for name in own:
        template = words.template(name, language)
        text = template.format_map(
            spoken | {"key": _word(bound, KeyAction.CONTINUE_UNRECORDED, words, language)}
        )
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
        if action is not KeyAction.CONTINUE_UNRECORDED  # said with the recording notice
    ]


def _word(bound: dict[KeyAction, str], action: KeyAction, words: Words, language: str) -> str:
    return words.key_word(bound[action], language) if action in bound else ""
