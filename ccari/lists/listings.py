"""Rows of a copy of a register of objections."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.lists import cells
from ccari.lists.numberlist import Row
from ccari.ports.lists import LineFault, Listed

COLUMNS = ("since", "until")


@dataclass(frozen=True, slots=True)
class ListingReader:
    """Makes a listing from a row. ``zone``: the register's."""

    zone: ZoneInfo
    now: datetime

    def __call__(self, row: Row) -> Listed | LineFault:
        return cells.made_or_fault(row, self._listed)

    def _listed(self, row: Row) -> Listed:
        if row.number is None:
            raise AssertionError("a register must contain numbers")
        since = cells.past_day_end(row, "since", self.zone, self.now)
        return Listed(row.number, since, cells.until(row, "until", self.zone))
