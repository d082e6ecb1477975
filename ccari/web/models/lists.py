"""Reports of long lists, and parameters that several lists share."""

from typing import Annotated

from pydantic import Field

from ccari.web.models.base import Given, Told
from ccari.web.models.fields import ControllerId


class LineFaultShown(Told):
    """Why a line (from 1) cannot be used. It is not quoted, because there may be a number in it."""

    line: int
    column: str | None
    why: str


class ListReport(Told):
    """``duplicate``: lines that repeat an earlier line, or what was stored already. ``faults``: of the first hundred invalid
    lines.

    ``doubtful``: how many numbers may be foreign ones that lack their plus, and were read as somebody else's in the
    list's country; ``first_doubtful``: the line of the first.

    ``barred``: how many lines of contacts or consents were left out, by the gate's reason. ``unasked``: purposes of consents
    that no campaign asks for.
    """

    taken: bool
    lines: int
    accepted: int
    duplicate: int
    invalid: int
    doubtful: int
    first_doubtful: int | None
    barred: dict[str, int] | None = None
    unasked: tuple[str, ...] | None = None
    faults: tuple[LineFaultShown, ...]


KeepGoing = Annotated[
    bool,
    Field(
        description="Import the valid lines even if others are invalid; otherwise a list with an invalid line changes nothing."
    ),
]


class OfController(Given):
    controller: ControllerId = None
