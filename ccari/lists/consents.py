"""Rows of a list of consents: who agreed to what, when, and the proof, Art 7(1)."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.lists import cells
from ccari.lists.cells import CellError
from ccari.lists.numberlist import NUMBER, Row
from ccari.policy.consent import Channel
from ccari.ports.lists import Agreed, LineFault

REQUIRED = ("purpose", "channel", "given", "proof")
COLUMNS = (*REQUIRED, "withdrawn", "valid_until")


@dataclass(frozen=True, slots=True)
class ConsentReader:
    """Makes a consent from a row. ``zone``: the controller's. A consent must have been given before ``now``."""

    zone: ZoneInfo
    now: datetime

    def __call__(self, row: Row) -> Agreed | LineFault:
        return cells.made_or_fault(row, self._agreed)

    def _agreed(self, row: Row) -> Agreed:
        if row.number is None:
            raise CellError(NUMBER, "it is empty")
        given = cells.past(row, "given", self.zone, self.now)
        withdrawn = cells.past_day_end(row, "withdrawn", self.zone, self.now)
        if given is None:
            raise CellError("given", "it is empty")
        if withdrawn is not None and withdrawn < given:
            raise CellError("withdrawn", "it is before the consent was given")
        until = cells.until(row, "valid_until", self.zone)
        if until is not None and until <= given:
            raise CellError("valid_until", "it is before the consent was given")
        return Agreed(
            number=row.number, purpose=_purpose(row), channel=cells.one_of(row, "channel", Channel), given_at=given, withdrawn_at=withdrawn,
            valid_until=until, proof=cells.words(row, "proof"),
        )  # fmt: skip


def _purpose(row: Row) -> str:
    purpose = cells.words(row, "purpose")
    if not cells.is_identifier(purpose):
        raise CellError("purpose", "it is neither marketing nor the id or the consent_purpose of a campaign")
    return purpose
