"""The base classes of the models: of what clients send in a path, a query or a body, and of answers."""

from pydantic import BaseModel, ConfigDict


class Given(BaseModel):
    """What a client sends. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(Given):
    """What a client sends as JSON. Values are not converted: ``"1"`` is not 1."""

    model_config = ConfigDict(strict=True)


class Told(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(frozen=True)
