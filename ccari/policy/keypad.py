"""What keys do: the callee's single keys, and the agent's feature codes."""

from enum import StrEnum

from ccari.policy.rights import Right


class KeyAction(StrEnum):
    """What the callee's key does: exercise a right, agree to or refuse the recording, or change what is played."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    ACCESS = "access"
    RECTIFICATION = "rectification"
    PORTABILITY = "portability"
    HUMAN_REVIEW = "human_review"
    CONTINUE_UNRECORDED = "continue_unrecorded"
    CONSENT_RECORDING = "consent_recording"
    DATA_SOURCE = "data_source"
    LANGUAGE = "language"
    REPEAT = "repeat"

    @property
    def right(self) -> Right | None:
        """The right that the key exercises; None if it exercises none."""
        match self:
            case KeyAction.DATA_SOURCE | KeyAction.REPEAT | KeyAction.CONSENT_RECORDING | KeyAction.LANGUAGE:
                return None
            case KeyAction.CONTINUE_UNRECORDED:
                return Right.REFUSE_RECORDING
            case _:
                return Right(self.value)


def noted(key: str, action: KeyAction | None) -> str:
    """How log and journal name the key. A key without a function may be a digit of a card or telephone number."""
    return "other" if action is None else key


class AgentAction(StrEnum):
    """What an agent's code does: register a right that the callee has voiced, or pause the recording."""

    OBJECTION_MARKETING = "objection_marketing"
    OBJECTION = "objection"
    WITHDRAW_CONSENT = "withdraw_consent"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    ACCESS = "access"
    RECTIFICATION = "rectification"
    PORTABILITY = "portability"
    HUMAN_REVIEW = "human_review"
    STOP_RECORDING = "stop_recording"
    PAUSE_RECORDING = "pause_recording"
    RESUME_RECORDING = "resume_recording"

    @property
    def right(self) -> Right | None:
        """The right that the code registers for the callee; None if it only pauses or resumes the recording."""
        match self:
            case AgentAction.PAUSE_RECORDING | AgentAction.RESUME_RECORDING:
                return None
            case AgentAction.STOP_RECORDING:
                return Right.REFUSE_RECORDING
            case _:
                return Right(self.value)
