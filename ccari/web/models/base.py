"""The kinds of model: what is sent to us, in a path, a query or a body, and what we tell."""

from pydantic import BaseModel, ConfigDict


class Given(BaseModel):
    """What is sent to us: nothing is known that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(Given):
    model_config = ConfigDict(strict=True)


class Told(BaseModel):
    model_config = ConfigDict(frozen=True)
