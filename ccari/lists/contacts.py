"""Rows of a list of contacts: the source of each number, Art 14(2)(f)."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from ccari.lists import cells
from ccari.lists.cells import CellError
from ccari.lists.numberlist import NUMBER, Row
from ccari.policy.bases import LegalBasis
from ccari.ports.lists import LineFault, Sourced

COLUMNS = ("source", "obtained", "basis", "proof", "valid_until")
_NEEDED = ("source", "obtained", "basis")


@dataclass(frozen=True, slots=True)
class ContactReader:
    """Makes a contact from a row. The fields here are the defaults for missing cells. ``zone``, ``today``: the controller's."""

    zone: ZoneInfo
    today: date
    source: str | None = None
    obtained: date | None = None
    basis: LegalBasis | None = None
    proof: str = ""
    valid_until: datetime | None = None

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that the list must have."""
        return tuple(name for name in _NEEDED if getattr(self, name) is None)

    def __call__(self, row: Row) -> Sourced | LineFault:
        return cells.made_or_fault(row, self._sourced)

    def _sourced(self, row: Row) -> Sourced:
        if row.number is None:
            raise CellError(NUMBER, "it is empty")
        obtained = cells.day(row, "obtained") or self.obtained
        if obtained is None:
            raise CellError("obtained", "it is empty")
        if obtained > self.today:
            raise CellError("obtained", "it is in the future")
        return Sourced(
            number=row.number,
            source=cells.words(row, "source", self.source),
            obtained_on=obtained,
            legal_basis=cells.one_of(row, "basis", LegalBasis, self.basis),
            proof=cells.words(row, "proof", self.proof),
            valid_until=cells.until(row, "valid_until", self.zone) or self.valid_until,
        )
