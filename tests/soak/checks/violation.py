"""What a check reports."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """``invariant``: its number in DESIGN 2, or 0 for anything else that must hold. ``call``: its id, if there is one.

    ``evidence``: what was seen, with numbers masked.
    """

    invariant: int
    what: str
    call: str
    evidence: str

    def __str__(self) -> str:
        whose = f" call {self.call}" if self.call else ""
        return f"[{self.invariant or '-'}] {self.what}:{whose} {self.evidence}"


def masked(digits: str) -> str:
    return f"…{digits[-4:]}"
