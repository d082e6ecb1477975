"""Keyed digests, under which numbers are stored and looked up. The numbers themselves are not stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ccari.policy.numbers import Number


@dataclass(frozen=True, slots=True)
class Digests:
    """One number's digests under one controller's secrets: ``all`` of them for looking it up, the newest for writing it."""

    newest: bytes
    key_version: int
    all: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A digest and the version of the secret it was made with."""

    digest: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Sought:
    """What a number is looked up by: its digests at the controller, and in registers (``listed_as``: register and digest)."""

    digests: Digests
    listed_as: tuple[tuple[str, bytes], ...] = ()


class Key(Protocol):
    """One version of a secret, for writing a list. ``check`` tells it from other secrets, and reveals nothing of it."""

    @property
    def version(self) -> int: ...

    @property
    def check(self) -> str: ...

    def digest(self, number: Number) -> bytes: ...


class Secrets(Protocol):
    def digests(self, controller: str, number: Number) -> Digests:
        """The number's digests. Raises SecretError if the controller has no usable secret."""
        ...

    def listed_as(self, registers: Iterable[str], number: Number) -> tuple[tuple[str, bytes], ...]:
        """Register and digest of the number, under each secret. A register without a secret gives none, and
        counts as stale.
        """
        ...

    def heed(self, known: Iterable[str], digests: Digests) -> None:
        """Raise SecretError if rows may be stored under a secret that this node lacks, or lacked when
        ``digests`` were made.

        ``known``: as in :attr:`ccari.policy.gate.Facts.secrets`.
        """
        ...


class ListSecrets(Secrets, Protocol):
    """The secrets, also for entering long lists."""

    def keys(self, controller: str) -> Sequence[Key]:
        """Every version of the controller's secret, newest last. Raises SecretError as :meth:`digests` does."""
        ...
