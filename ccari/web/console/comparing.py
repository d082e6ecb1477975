"""Which lines of two texts are the same, in a time that grows with the texts."""

import bisect
import difflib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

#: More lines than these are compared piece by piece: the work for one piece grows with the cube of its lines.
MOST_AT_ONCE = 200


class Matcher(difflib.SequenceMatcher[str]):
    """As it is for short texts. Long ones are cut before each line that both have once, and in the same order: in a policy at
    the campaigns' ids at least. A piece that is long all the same is told as other lines, but for its beginning and its end.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._texts = old, new

    def get_matching_blocks(self) -> list[difflib.Match]:
        old, new = self._texts
        if len(old) <= MOST_AT_ONCE and len(new) <= MOST_AT_ONCE:
            return super().get_matching_blocks()
        cuts = [(0, 0), *_in_order(old, new), (len(old), len(new))]
        found: list[difflib.Match] = []
        for (i, k), (j, m) in itertools.pairwise(cuts):
            for a, b, size in _same(old[i:j], new[k:m]):
                last = found[-1] if found else difflib.Match(0, 0, 0)
                if (last.a + last.size, last.b + last.size) == (i + a, k + b):
                    found[-1:] = [difflib.Match(last.a, last.b, last.size + size)]
                else:
                    found.append(difflib.Match(i + a, k + b, size))
        return [*found, difflib.Match(len(old), len(new), 0)]


def _in_order(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Where the lines stand that each text has once: the most of them whose order is the same."""
    in_old, in_new = Counter(old), Counter(new)
    places = {line: at for at, line in enumerate(new) if in_old[line] == in_new[line] == 1}
    pairs = [(at, places[line]) for at, line in enumerate(old) if line in places]
    # the last of the best row of each length, and what comes before each
    ends: list[int] = []
    rows: list[int] = []
    before: list[int | None] = []
    for each, (_, at) in enumerate(pairs):
        length = bisect.bisect_left(ends, at)
        before.append(rows[length - 1] if length else None)
        ends[length : length + 1], rows[length : length + 1] = [at], [each]
    row: list[tuple[int, int]] = []
    last = rows[-1] if rows else None
    while last is not None:
        row.append(pairs[last])
        last = before[last]
    return row[::-1]


def _same(old: Sequence[str], new: Sequence[str]) -> Iterator[difflib.Match]:
    if max(len(old), len(new)) <= MOST_AT_ONCE:
        blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        yield from (each for each in blocks if each.size)
        return
    shorter = min(len(old), len(new))
    first = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    last = next((n for n in range(shorter - first) if old[~n] != new[~n]), shorter - first)
    yield from (
        each
        for each in (difflib.Match(0, 0, first), difflib.Match(len(old) - last, len(new) - last, last))
        if each.size
    )
