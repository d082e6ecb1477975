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
