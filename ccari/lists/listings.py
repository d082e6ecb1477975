"""Rows of a copy of a register of objections."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.gating import moments
from ccari.lists.numberlist import Row
from ccari.ports.lists import LineFault, Listed

COLUMNS = ("since", "until")


@dataclass(frozen=True, slots=True)
class ListingReader:
    """Makes a listing of a row. ``zone``: the register's."""

    zone: ZoneInfo
    now: datetime

    def __call__(self, row: Row) -> Listed | LineFault:
        if row.number is None:
            raise AssertionError("a register must contain numbers")
        column, cells = "since", row.fields
        try:
            since = moments.past_day_end(text, self.zone, self.now) if (text := cells.get("since")) else None
            column = "until"
            until = moments.until(text, self.zone) if (text := cells.get("until")) else None
        except ValueError as error:
            return LineFault(row.line, column, str(error))
        return Listed(row.number, since, until)
