"""The policy in force, and the revisions applied before."""

from datetime import datetime
from typing import Any, Protocol

from ccari.policy.declaration import Policy


class PolicyBook(Protocol):
    """The newest policy revision, as last read."""

    @property
    def revision(self) -> int | None: ...

    @property
    def policy(self) -> Policy | None: ...

    @property
    def sha256(self) -> str | None:
        """The hash of the revision's file, in hex."""
        ...

    async def reload(self) -> None: ...

    async def at(self, revision: int) -> Policy | None:
        """An older revision, for calls in progress that began under it. Raises StoreError if it cannot be read."""
        ...


class AppliedPolicy(Protocol):
    """A revision: a policy file, who applied it, and when. ``sha256``: of the file, in hex."""

    @property
    def number(self) -> int: ...

    @property
    def applied_at(self) -> datetime: ...

    @property
    def applied_by(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def document(self) -> str: ...

    async def read(self) -> Policy:
        """What the file declares. Raises UnsoundPolicyError if this ccari refuses what an older one accepted."""
        ...


class PolicyRecords(Protocol):
    """Every revision that was applied. Each method raises StoreError."""

    async def applied(self, number: int | None = None) -> AppliedPolicy | None:
        """One revision, or the newest; None if there is none."""
        ...

    async def revisions(self) -> list[dict[str, Any]]:
        """Every revision without its document, the newest first."""
        ...
