"""What every part of the policy file is made of: closed, immutable tables of checked words."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be words on one line")
    return text


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
