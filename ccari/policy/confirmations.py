"""What is said to somebody whose right was registered: that it is, under which reference, and until when it is answered."""

from datetime import date

from ccari.policy import speech
from ccari.policy.keypad import KeyAction
from ccari.policy.rights import EFFECTS, Right

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
#: In place of ``continues_unrecorded`` when some of the talk has been recorded already, and after a withdrawal then.
RECORDING_STOPPED = "recording_stopped"
#: After the confirmation of what a person decides upon.
ANSWER_FOLLOWS = "answer_within_month"
#: Before a reference that is read out, digit by digit.
REFERENCE_IS = "reference_is"
_REFERENCE = "reference:"
#: Before the date until which an answer is due.
ANSWER_BY = "answer_by"
_DUE = "due:"


def confirmation(
    right: Right, *, recorded: bool, reference: str = "", due: date | None = None
) -> tuple[str, ...]:
    """The ids of what is said once a right is registered. ``recorded``: some of the talk has been recorded, and no more is.

    Where there is something left to be answered, ``reference`` is read out, and until when: ``due``, or in words.
    """
    if right is Right.REFUSE_RECORDING and recorded:
        return (RECORDING_STOPPED,)
    words = next(words for action, words in CONFIRMATIONS.items() if action.right is right)
    if not EFFECTS[right].refusable:
        # it is done with its effect, and nothing is left to be answered
        return (words, RECORDING_STOPPED) if recorded and right is Right.WITHDRAW_CONSENT else (words,)
    read_out = (f"{_REFERENCE}{reference}",) if reference else ()
    until = f"{_DUE}{due.isoformat()}" if due is not None and due.year in speech.YEARS else ANSWER_FOLLOWS
    return (words, *read_out, until)


def is_reference(prompt: str) -> bool:
    return prompt.startswith(_REFERENCE)


def tells_until_when(prompt: str) -> bool:
    """True of what is told once, behind all confirmations: when there will be an answer."""
    return prompt == ANSWER_FOLLOWS or prompt.startswith(_DUE)


def spelt_out(prompt: str) -> tuple[str, ...]:
    """The ids of what a prompt is put together from: a reference or a date, read out; itself, if it is one sound."""
    if is_reference(prompt):
        return REFERENCE_IS, *speech.reference(prompt.removeprefix(_REFERENCE))
    if prompt.startswith(_DUE):
        return ANSWER_BY, *speech.date(date.fromisoformat(prompt.removeprefix(_DUE)))
    return (prompt,)
