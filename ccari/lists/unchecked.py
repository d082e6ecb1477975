"""Finds columns that seem to hold telephone numbers, and are not checked: nobody reads them, and a dialler may call them all the same."""

import re
from collections import Counter
from collections.abc import Sequence

from ccari.gating.labels import unnumbered
from ccari.policy.numbers import Number, parse

#: How many cells of a column are looked at: enough to judge it by, and each costs as much as the row's own number.
_MOST_CELLS = 500
#: The fewest characters of a number.
_SHORTEST = 7
#: Days are written with as many digits as numbers.
_DAY = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[-.]\d\d?[-.]\d{2,4}")
#: How many columns are named at most, and by how many characters: over HTTP they go into a header.
_COLUMNS, _CHARACTERS = 10, 40


class Unchecked:
    """``country``: of numbers without a plus. ``read``: the name of the column that is read."""

    def __init__(self, country: str, read: str) -> None:
        self._country = country
        self._read = read
        self._names: Sequence[str] = ()
        self._looked_at, self._numbers = Counter[int](), Counter[int]()

    def look(self, names: Sequence[str], texts: Sequence[str]) -> None:
        """Look at the cells of a row. ``names``: of all columns, the same for each row; some may have the same one, or none."""
        self._names = names
        for place, text in enumerate(texts):
            if text and self._looked_at[place] < _MOST_CELLS and names[place] != self._read:
                self._looked_at[place] += 1
                self._numbers[place] += self._is_number(text)

    @property
    def columns(self) -> list[str]:
        """Those in which most of the cells that are not empty are numbers, in the order of the file, fit to be shown."""
        found = sorted(
            place for place, looked_at in self._looked_at.items() if 2 * self._numbers[place] > looked_at
        )
        names = dict.fromkeys(self._names[place] or f"column {place + 1}" for place in found)
        return [unnumbered(name)[:_CHARACTERS] for name in list(names)[:_COLUMNS]]

    def _is_number(self, text: str) -> bool:
        if len(text) < _SHORTEST or _DAY.fullmatch(text):
            return False
        return isinstance(parse(text, self._country), Number)
