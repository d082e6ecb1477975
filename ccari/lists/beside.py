"""Finds columns beside ``number`` that seem to hold telephone numbers too: nobody reads them, and a dialler may call them all the same."""

import re
from collections import Counter
from collections.abc import Mapping

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


class Beside:
    """``country``: of numbers without a plus."""

    def __init__(self, country: str) -> None:
        self._country = country
        self._looked_at, self._numbers = Counter[str](), Counter[str]()

    def look(self, fields: Mapping[str, str]) -> None:
        """Look at the other cells of a row."""
        for name, text in fields.items():
            if text and self._looked_at[name] < _MOST_CELLS:
                self._looked_at[name] += 1
                self._numbers[name] += self._is_number(text)

    @property
    def columns(self) -> list[str]:
        """Those in which most of the cells that are not empty are numbers, in the order of the file, fit to be shown."""
        found = [name for name, looked_at in self._looked_at.items() if 2 * self._numbers[name] > looked_at]
        return [unnumbered(name)[:_CHARACTERS] for name in found[:_COLUMNS]]

    def _is_number(self, text: str) -> bool:
        if len(text) < _SHORTEST or _DAY.fullmatch(text):
            return False
        return isinstance(parse(text, self._country), Number)
