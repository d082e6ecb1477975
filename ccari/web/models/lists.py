"""Long lists: what is asked of them, and what became of them."""

from typing import Annotated

from pydantic import Field

from ccari.policy.declared import Identifier
from ccari.web.models.base import Given, Told


class LineFaultShown(Told):
    """Why a line (from 1) cannot be taken; it is not quoted, for there may be a number in it."""

    line: int
    column: str | None
    why: str


class ListReport(Told):
    """``duplicate``: lines that say what was known. ``faults``: of the first hundred lines that are invalid.

    ``barred``: lines of contacts or consents that were left out, by the gate's reason. ``unasked``: purposes of consents that no
    campaign asks for.
    """

    taken: bool
    lines: int
    accepted: int
    duplicate: int
    invalid: int
    barred: dict[str, int] | None = None
    unasked: tuple[str, ...] | None = None
    faults: tuple[LineFaultShown, ...]


KeepGoing = Annotated[
    bool, Field(description="Take the sound lines although others are not; else a bad list changes nothing.")
]


class OfController(Given):
    controller: Annotated[
        Identifier | None, Field(description="Whose; may be left out where the token sees only one.")
    ] = None
