"""One number as it is kept and looked up: keyed digests, never the number."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.numbers import Number


@dataclass(frozen=True, slots=True)
class Digests:
    """One number under one controller's secrets: ``all`` of them for looking up, the newest for writing."""

    newest: bytes
    key_version: int
    all: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A digest and the version of the secret that it was made with."""

    digest: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Sought:
    """One number as it is looked up: among the controller's own, and ``listed_as`` register and digest in registers."""

    digests: Digests
    listed_as: tuple[tuple[str, bytes], ...] = ()


class Secrets(Protocol):
    def digests(self, controller: str, number: Number) -> Digests:
        """Raise ConfigError if the controller has no usable secret."""
        ...

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """Register and digest of the number under each secret; a register without one gives none, and counts as stale."""
        ...
