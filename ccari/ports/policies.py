"""The policy in force."""

from typing import Protocol

from ccari.policy.declaration import Policy


class PolicyBook(Protocol):
    """The newest policy revision, as last read."""

    @property
    def revision(self) -> int | None: ...

    @property
    def policy(self) -> Policy | None: ...

    async def reload(self) -> None: ...

    async def at(self, revision: int) -> Policy | None:
        """An older revision, under which calls in progress were begun; raise StoreError if it cannot be read."""
        ...
