"""What the callee is told: which prompts, by campaign and recording mode (Art 13, 14, 21(4)). Their words: ``wording``."""

from collections.abc import Mapping

from ccari.policy import confirmations, speech
from ccari.policy.campaign import Campaign, Information, NoticePrompt
from ccari.policy.keypad import KeyAction
from ccari.policy.recording import RECORDING_ANSWERS, Recording, RecordingMode, stops_recording
from ccari.policy.rights import Right

#: Answers the key that agrees to the recording.
RECORDING_AGREED = "recording_agreed"
RIGHT_FAILED = "right_failed"
#: Played instead to a caller whose number is not known.
NUMBER_WITHHELD = "number_withheld"
KEY_UNKNOWN = "key_unknown"
#: Answers the key that asks where the number comes from: the contact's own source if there is a sound for it, else the campaign's.
SOURCE_ASKED = "source_asked"
GOODBYE = "goodbye"
#: Played to a callee if no agent came.
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

#: The very first prompt, in the language that it offers.
LANGUAGE_OFFER = "language_offer"
#: Instead of ``identity``, in inbound calls.
_IDENTITY_INBOUND = "identity_inbound"

#: Shared by all campaigns.
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

#: Art 21(4): people are told of the right to object, even if no key exercises it.
RIGHTS_WITHOUT_KEYS = "rights_no_keys"
_RECORDING = {
    RecordingMode.NOTICE: "recording_notice",
    RecordingMode.OPT_OUT: "recording_opt_out",
    RecordingMode.OPT_IN: "recording_opt_in",
    RecordingMode.MANDATORY: "recording_mandatory",
}
#: Used instead if the call ends rather than continue unrecorded: the callee must not be misled about that.
_RECORDING_OR_END = {
    RecordingMode.OPT_OUT: "recording_opt_out_or_end",
    RecordingMode.OPT_IN: "recording_opt_in_or_end",
}
#: The order of the menu. Art 21(4): the rights to object come first, each in its own sentence. Keys that are not rights come last.
_FIRST = (KeyAction.OBJECTION_MARKETING, KeyAction.OBJECTION)
_LAST = (KeyAction.DATA_SOURCE, KeyAction.REPEAT)


def sequence(campaign: Campaign, *, informed: bool, inbound: bool = False) -> tuple[str, ...]:
    """The ids of the prompts that make up the notice, in playing order.

    ``informed``: the number has heard this wording of the information layer from this controller before. Then Art 13(4) and 14(5)(a) do
    not require it again, and ``first_contact`` leaves it out; but a sales call says each time who is calling and why (consumer-rights
    acts; PL: Art 20(1)). The recording layer is played in every call. ``inbound``: the person is calling us, so the identity prompt is a
    different one.
    """
    ids = [
        _id(campaign, prompt, inbound=inbound)
        for prompt in campaign.notice.prompts
        if _is_played(campaign, prompt, informed=informed)
    ]
    offer = (LANGUAGE_OFFER,) if KeyAction.LANGUAGE in campaign.keys.values() else ()
    return tuple(dict.fromkeys((*offer, *(each for each in ids if each is not None))))


def information(campaign: Campaign, *, inbound: bool = False) -> tuple[str, ...]:
    """The ids of the prompts of the information layer, as played at the first contact."""
    recording = _id(campaign, NoticePrompt.RECORDING)
    notice = sequence(campaign, informed=False, inbound=inbound)
    return tuple(prompt for prompt in notice if prompt != recording)


def repeated(campaign: Campaign) -> tuple[str, ...]:
    """The ids of the recording prompts that are repeated when a callee is handed over. A callee who has agreed is not asked again."""
    prompt = _id(campaign, NoticePrompt.RECORDING)
    return () if prompt is None or campaign.recording.mode is RecordingMode.OPT_IN else (prompt,)


def wordings(campaign: Campaign) -> frozenset[tuple[str, ...]]:
    """Every sequence of prompts that gets a version: each whole notice, and each information layer."""
    either = (False, True)
    notices = {
        sequence(campaign, informed=informed, inbound=inbound) for informed in either for inbound in either
    }
    return frozenset(notices | {information(campaign, inbound=inbound) for inbound in either})


def skippable(campaign: Campaign) -> frozenset[str]:
    """The ids of the prompts that a key may cut short when they are repeated."""
    ids = (
        _id(campaign, prompt, inbound=inbound)
        for prompt in campaign.notice.barge_in
        for inbound in (False, True)
    )
    source_asked = {SOURCE_ASKED} if NoticePrompt.SOURCE in campaign.notice.barge_in else set()
    return frozenset(each for each in ids if each is not None) | source_asked


def _is_played(campaign: Campaign, prompt: NoticePrompt, *, informed: bool) -> bool:
    if prompt is NoticePrompt.RECORDING or campaign.notice.information is Information.ALWAYS:
        return True
    if campaign.marketing and prompt in {NoticePrompt.IDENTITY, NoticePrompt.PURPOSE}:
        return True
    if prompt is NoticePrompt.RIGHTS:
        # Art 21(4): at the latest at the first communication, even if the rest of the information is given elsewhere
        return not informed
    return not informed and campaign.notice.information is not Information.NEVER


def _id(campaign: Campaign, prompt: NoticePrompt, *, inbound: bool = False) -> str | None:
    """The id of a prompt of the notice in this campaign; None if the campaign says nothing there."""
    match prompt:
        case NoticePrompt.IDENTITY if inbound:
            return _IDENTITY_INBOUND
        case NoticePrompt.RECORDING:
            return recording(campaign)
        case NoticePrompt.RIGHTS:
            return prompt.value if menu(campaign) else RIGHTS_WITHOUT_KEYS
        case NoticePrompt.SOURCE if campaign.data_source is None:
            return None
        case _:
            return prompt.value


def recording(campaign: Campaign) -> str | None:
    """The id of the prompt that announces the recording; None if the campaign does not record."""
    mode = campaign.recording.mode
    prompt = _RECORDING.get(mode)
    return _RECORDING_OR_END.get(mode, prompt) if campaign.recording.must else prompt


def in_menu_order(keys: Mapping[str, KeyAction]) -> list[tuple[str, KeyAction]]:
    """The keys with their actions, as the menu lists them."""

    def place(bound: tuple[str, KeyAction]) -> tuple[int, str]:
        key, action = bound
        return (action in _LAST) - (action in _FIRST), key

    return sorted(keys.items(), key=place)


def menu(campaign: Campaign) -> dict[str, str]:
    """The ids of the menu's sentences, by key. Keys already named by the recording or language prompt are left out."""
    rules = campaign.recording
    left_out = {RECORDING_ANSWERS.get(rules.mode), KeyAction.LANGUAGE}
    if rules.mode is RecordingMode.OFF:
        left_out.add(KeyAction.CONTINUE_UNRECORDED)
    return {
        key: sentence(action, rules) for key, action in in_menu_order(campaign.keys) if action not in left_out
    }


def sentence(action: KeyAction, rules: Recording) -> str:
    """The id of the sentence about a key, including what the key does to the recording, Art 4(11) and 7(3), and to the call."""
    match action:
        case KeyAction.CONTINUE_UNRECORDED if rules.must:
            return "menu_refuse_recording"
        case KeyAction.WITHDRAW_CONSENT if stops_recording(
            Right.WITHDRAW_CONSENT, rules.legal_basis, rules.mode
        ):
            return "menu_withdraw_consent_or_end" if rules.must else "menu_withdraw_consent_recording"
        case _:
            return f"menu_{action.value}"
