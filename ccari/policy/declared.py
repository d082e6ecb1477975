"""The base of every table of the policy file: immutable models that refuse unknown keys, and checked words."""

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator


class Contradiction(NamedTuple):
    """A fault of a table whose keys are each valid, and do not go together. ``path``: the key to change, relative to that table."""

    path: tuple[int | str, ...]
    words: str


class ContradictionError(ValueError):
    """All contradictions of one table."""

    def __init__(self, *contradictions: Contradiction) -> None:
        super().__init__(
            "; ".join(f"{'.'.join(map(str, each.path))}: {each.words}" for each in contradictions)
        )
        self.contradictions = contradictions


class Declared(BaseModel):
    """A table of the policy file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def contradictions(self) -> Iterator[Contradiction]:
        """What must be changed before the table is valid as a whole."""
        return iter(())

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if contradictions := tuple(self.contradictions()):
            raise ContradictionError(*contradictions)
        return self


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be words on one line")
    return text


def spelt(pattern: str, words: str) -> AfterValidator:
    """A validator: the whole text must match ``pattern``, else ``words`` say what is wrong."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
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
#: Strict: "yes" is not true, and neither 1.0 nor "1" is 1. A silent conversion would be noticed too late.
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict()]
