"""A way to break the product, as ``invariants.toml`` has it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
LISTED = Path(__file__).parent / "invariants.toml"
INVARIANTS = range(1, 10)
#: The least number for each invariant.
LEAST = 2


@dataclass(frozen=True)
class Mutation:
    """``invariant``: its number in DESIGN 2. ``tests``: files, or tests in them; at least one must fail."""

    name: str
    invariant: int
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The text of ``file`` with the mutation applied.

        Raises
        ------
        ValueError
            If ``old`` does not occur in it exactly once.
        """
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.name}: what it replaces stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


def listed() -> list[Mutation]:
    """All mutations, in the order of the file."""
    told = tomllib.loads(LISTED.read_text("utf-8"))["mutation"]
    return [Mutation(**{**each, "tests": tuple(each["tests"])}) for each in told]
