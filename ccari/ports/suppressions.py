"""Bars on numbers: a controller's own, and listings in registers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from ccari.policy.suppression import Reason
from ccari.ports.keying import Digests


class SuppressionStore(Protocol):
    """Each method raises StoreError if the database fails."""

    async def add(
        self, controller: str, digests: Digests, reason: Reason, origin: str, proof: str, *,
        campaign: str | None = None, expires_at: datetime | None = None,
    ) -> bool:  # fmt: skip
        """Bar a number; False if it was already barred for this reason."""
        ...

    async def remove(
        self, controller: str, digests: Digests, removed_by: str, why: str, *,
        reason: Reason | None = None, campaign: str | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Lift a number's bars, and give those lifted. ``reason``: only the bars for it; None: all except
        those in ``LIFTED_BY_NAME``. ``campaign``: only the bars on it.
        """
        ...

    async def of(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The bars of one number, oldest first."""
        ...

    async def lifted(self, controller: str, digests: Digests) -> list[dict[str, Any]]:
        """The bars of one number that were lifted, in the order in which that was done: when, by whom and why."""
        ...

    async def page(
        self, controllers: Sequence[str] | None, limit: int, after: int | None, *,
        campaign: str | None = None, reason: Reason | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The newest bars first; a bar that is entered again keeps its place. ``controllers``: None for all. ``after``: the
        id of the last bar of the page before. ``campaign``, ``reason``: only the bars on it, or for it.
        """
        ...


class RegisterStore(Protocol):
    async def ages(self) -> list[dict[str, Any]]:
        """Each register that was ever loaded, with the age of its copy."""
        ...

    async def of(self, listed_as: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """The listings of one number. ``listed_as``: register and digest."""
        ...
