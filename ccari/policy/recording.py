"""How the calls of a campaign are recorded, which rights end a recording, and what those mean for the recordings there are."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ccari.policy.bases import LegalBasis
from ccari.policy.declared import Contradiction, Count, Declared, Words
from ccari.policy.keypad import KeyAction
from ccari.policy.retention import WITHDRAWING
from ccari.policy.rights import EFFECTS, Right, Stored


class RecordingMode(StrEnum):
    """Whether a call is recorded: never; after a notice; unless the callee refuses; only if the callee agrees; because a law
    demands it.
    """

    OFF = "off"
    NOTICE = "notice"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    MANDATORY = "mandatory"


class RecordingState(StrEnum):
    """What has become of a recording: its tag is committed; it runs; it has ended, and waits in the spool; it is in its place; it might
    not be kept; it is lost; it was deleted.
    """

    TAGGED = "tagged"
    RECORDING = "recording"
    FINISHED = "finished"
    STORED = "stored"
    DISCARDED = "discarded"
    FAILED = "failed"
    DELETED = "deleted"

    @property
    def is_unfinished(self) -> bool:
        """Whether it is still to be stored or given up."""
        return self in {RecordingState.TAGGED, RecordingState.RECORDING, RecordingState.FINISHED}

    @property
    def is_there(self) -> bool:
        """Whether there is something of it that has to be deleted one day."""
        return self.is_unfinished or self is RecordingState.STORED


#: The action of the key that answers the notice of a recording.
RECORDING_ANSWERS = {
    RecordingMode.OPT_OUT: KeyAction.CONTINUE_UNRECORDED,
    RecordingMode.OPT_IN: KeyAction.CONSENT_RECORDING,
}


class Without(StrEnum):
    """What happens to a call that may not, or cannot, be recorded."""

    CONTINUE = "continue"
    HANG_UP = "hang_up"


class OnTransfer(StrEnum):
    """What happens to the recording when a colleague takes over. The colleague is told of it in any case; with ``repeat`` the
    callee is told again, too.
    """

    CONTINUE = "continue"
    REPEAT = "repeat"
    STOP = "stop"


def _recording_basis(mode: RecordingMode | None) -> LegalBasis:
    """The default basis. In ``opt_in`` the prompt asks for consent; in the other modes the controller's interest has to outweigh the
    callee's.
    """
    return LegalBasis.CONSENT if mode is RecordingMode.OPT_IN else LegalBasis.LEGITIMATE_INTEREST


class Recording(Declared):
    """How a campaign's calls are recorded.

    ``purpose``: why calls are recorded, as it is spoken. Left out, they are recorded for the campaign's purpose, and no prompt says why.
    """

    mode: RecordingMode
    purpose: Words | None = None
    legal_basis: LegalBasis = Field(default_factory=lambda declared: _recording_basis(declared.get("mode")))
    retention_days: Annotated[Count, Field(ge=1, le=3660)] = 90
    without: Without = Without.CONTINUE
    on_transfer: OnTransfer = OnTransfer.CONTINUE

    def contradictions(self) -> Iterator[Contradiction]:
        may_rest_on_consent = self.mode in {RecordingMode.OFF, RecordingMode.OPT_IN}
        if not may_rest_on_consent and self.legal_basis is LegalBasis.CONSENT:
            yield Contradiction(
                ("legal_basis",),
                f"recording on the basis of consent needs an act of consent first: mode must be opt_in, not {self.mode}",
            )
        set_to_continue = self.without is Without.CONTINUE and "without" in self.model_fields_set
        if self.mode is RecordingMode.MANDATORY and set_to_continue:
            yield Contradiction(
                ("without",),
                "must be hang_up where mode is mandatory: a recording that a law requires cannot be left out",
            )
        if self.must and self.on_transfer is OnTransfer.STOP:
            yield Contradiction(
                ("on_transfer",), "must not be stop where calls are not held without a recording"
            )

    @property
    def must(self) -> bool:
        """True if a call that may not, or cannot, be recorded does not take place."""
        return self.mode is RecordingMode.MANDATORY or (
            self.mode is not RecordingMode.OFF and self.without is Without.HANG_UP
        )


def stops_recording(right: Right, basis: LegalBasis, mode: RecordingMode) -> bool:
    """True if exercising the right ends a recording, or keeps it from starting. Either the right removes its legal basis, or it withdraws
    the agreement that an ``opt_in`` recording needs on any basis, Art 7(3).
    """
    takes_back_agreement = mode is RecordingMode.OPT_IN and right in WITHDRAWING
    return takes_back_agreement or basis in EFFECTS[right].stops


def stored(right: Right, recorded: Collection[tuple[LegalBasis, RecordingMode]]) -> Stored:
    """What the right means for the recordings that exist already.

    ``recorded``: the bases and modes of the recordings made in the call in which the right was exercised.

    Withdrawing the agreement to a recording that rests on another basis does not make the earlier recording unlawful, Art 7(3), and Art
    17(1)(b) covers only recordings that rest on consent alone. But the callees were asked, and told that they may withdraw. So a person
    decides, as on an objection (Art 21(1)) and on a refusal to be recorded.
    """
    agreed = any(mode is RecordingMode.OPT_IN and basis is not LegalBasis.CONSENT for basis, mode in recorded)
    taken_back = right is Right.WITHDRAW_CONSENT and agreed
    return EFFECTS[Right.REFUSE_RECORDING if taken_back else right].stored


def ended_by(recording: Recording) -> tuple[Right, ...]:
    """The rights that end a recording declared like this; none if the campaign does not record."""
    if recording.mode is RecordingMode.OFF:
        return ()
    return tuple(right for right in Right if stops_recording(right, recording.legal_basis, recording.mode))
