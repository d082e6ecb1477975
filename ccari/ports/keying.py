"""One number as it is kept and looked up: keyed digests, never the number."""

from collections.abc import Iterable, Sequence
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


class Key(Protocol):
    """One version of a secret, to write a list with. ``check`` tells it from another, and nothing else of it."""

    @property
    def version(self) -> int: ...

    @property
    def check(self) -> str: ...

    def digest(self, number: Number) -> bytes: ...


class Secrets(Protocol):
    def digests(self, controller: str, number: Number) -> Digests:
        """Raise SecretError if the controller has no usable secret."""
        ...

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """Register and digest of the number under each secret; a register without one gives none, and counts as stale."""
        ...

    def heed(self, known: Iterable[str], digests: Digests) -> None:
        """Raise SecretError if something may be kept under a secret that is not here, or came after ``digests`` were made.

        ``known``: as :attr:`ccari.policy.gate.Facts.secrets`.
        """
        ...


class ListSecrets(Secrets, Protocol):
    """The secrets, for whoever enters long lists too."""

    def keys(self, controller: str) -> Sequence[Key]:
        """Every version that there is, the newest last. Raise SecretError as :meth:`digests` does."""
        ...
