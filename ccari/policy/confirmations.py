"""What a person is told once their right is registered: its effect, its reference, and the date of the answer."""

from datetime import date

from ccari.policy import speech
from ccari.policy.keypad import KeyAction
from ccari.policy.rights import EFFECTS, Right

#: The prompt that confirms each right to the callee.
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
#: If some of the talk is already recorded: instead of ``continues_unrecorded``, and after a withdrawal of consent.
RECORDING_STOPPED = "recording_stopped"
#: After the confirmation of a request that a person decides on, if no date can be said.
ANSWER_FOLLOWS = "answer_within_month"
#: Before a reference, which is read out digit by digit.
REFERENCE_IS = "reference_is"
_REFERENCE = "reference:"
#: Before the date by which an answer is due.
ANSWER_BY = "answer_by"
_DUE = "due:"


def confirmation(
    right: Right, *, recorded: bool, reference: str = "", due: date | None = None
) -> tuple[str, ...]:
    """The ids of the prompts that confirm a right. ``recorded``: some of the talk was recorded, and recording has stopped.

    If the person will get an answer, this reads out its ``reference``, if there is one, and the date ``due``. If the date is unknown, or
    its year cannot be spoken, a prompt says "within a month".
    """
    if right is Right.REFUSE_RECORDING and recorded:
        return (RECORDING_STOPPED,)
    words = next(words for action, words in CONFIRMATIONS.items() if action.right is right)
    if not EFFECTS[right].refusable:
        # its immediate effect completes it: no answer follows
        return (words, RECORDING_STOPPED) if recorded and right is Right.WITHDRAW_CONSENT else (words,)
    read_out = (f"{_REFERENCE}{reference}",) if reference else ()
    until = f"{_DUE}{due.isoformat()}" if due is not None and due.year in speech.YEARS else ANSWER_FOLLOWS
    return (words, *read_out, until)


def is_reference(prompt: str) -> bool:
    return prompt.startswith(_REFERENCE)


def tells_until_when(prompt: str) -> bool:
    """True for the prompts that say by when an answer comes. They are played once, after all confirmations."""
    return prompt == ANSWER_FOLLOWS or prompt.startswith(_DUE)


def spelt_out(prompt: str) -> tuple[str, ...]:
    """The ids of the sounds that make up a prompt: several for a reference or a date, otherwise the prompt itself."""
    if is_reference(prompt):
        return REFERENCE_IS, *speech.reference(prompt.removeprefix(_REFERENCE))
    if prompt.startswith(_DUE):
        return ANSWER_BY, *speech.date(date.fromisoformat(prompt.removeprefix(_DUE)))
    return (prompt,)
