"""Comparing two texts line by line, in a time that grows no faster than the texts."""

import bisect
import difflib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

#: Longer texts are compared piece by piece, because the work for a piece grows with the cube of its lines.
MOST_AT_ONCE = 200


class Matcher(difflib.SequenceMatcher[str]):
    """A SequenceMatcher that cuts long texts into pieces: before each line that both texts have exactly once, in the same order. In a
    policy these include at least the campaigns' ids. If a piece is still too long, only its beginning and end are compared; the lines
    between count as different.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._texts = old, new

    def get_matching_blocks(self) -> list[difflib.Match]:
        old, new = self._texts
        if len(old) <= MOST_AT_ONCE and len(new) <= MOST_AT_ONCE:
            return super().get_matching_blocks()
        cuts = [(0, 0), *_in_order(old, new), (len(old), len(new))]
        blocks: list[difflib.Match] = []
        for (i, k), (j, m) in itertools.pairwise(cuts):
            for a, b, size in _same(old[i:j], new[k:m]):
                last = blocks[-1] if blocks else difflib.Match(0, 0, 0)
                if (last.a + last.size, last.b + last.size) == (i + a, k + b):
                    blocks[-1:] = [difflib.Match(last.a, last.b, last.size + size)]
                else:
                    blocks.append(difflib.Match(i + a, k + b, size))
        return [*blocks, difflib.Match(len(old), len(new), 0)]


def _in_order(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The positions, in both texts, of lines that each text has exactly once: the longest sequence in the same order."""
    in_old, in_new = Counter(old), Counter(new)
    places = {line: at for at, line in enumerate(new) if in_old[line] == in_new[line] == 1}
    pairs = [(at, places[line]) for at, line in enumerate(old) if line in places]
    # longest increasing subsequence: for each length, the best sequence's last position in the new text and last pair; for each pair, its
    # predecessor
    ends: list[int] = []
    last_pairs: list[int] = []
    before: list[int | None] = []
    for pair, (_, at) in enumerate(pairs):
        length = bisect.bisect_left(ends, at)
        before.append(last_pairs[length - 1] if length else None)
        ends[length : length + 1], last_pairs[length : length + 1] = [at], [pair]
    row: list[tuple[int, int]] = []
    last = last_pairs[-1] if last_pairs else None
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
