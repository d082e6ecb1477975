"""What every part of the policy file is made of: closed, immutable tables of checked words."""

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator


class Contradiction(NamedTuple):
    """What is wrong although each key by itself is right. ``path``: the key to mend, below the table that says so."""

    path: tuple[int | str, ...]
    words: str


class ContradictionError(ValueError):
    """All that contradicts itself in one table."""

    def __init__(self, *found: Contradiction) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, each.path))}: {each.words}" for each in found))
        self.found = found


class Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def contradictions(self) -> Iterator[Contradiction]:
        """What is to be mended before the table can be taken at its word."""
        return iter(())

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if found := tuple(self.contradictions()):
            raise ContradictionError(*found)
        return self


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be words on one line")
    return text


def spelt(pattern: str, words: str) -> AfterValidator:
    """A check that the whole text has a form, with words for who gets it wrong."""
    form = re.compile(pattern)

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(words)
        return text

    return AfterValidator(check)


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Identifier = Annotated[
    str,
    spelt(
        r"[a-z0-9][a-z0-9_-]{0,39}",
        "must be at most 40 lower-case letters, digits, - and _, such as acme-2",
    ),
]
#: "yes" is no true, and 1.0 or "1" no 1: what is taken for something else than was meant is found out too late.
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
