"""Checks the policy in force. :mod:`ccari.cli.doctor.readiness` checks what it needs."""

from collections.abc import Iterator

from ccari.cli.doctor.findings import Finding, fault, ok, warning
from ccari.cli.doctor.readiness import left_behind
from ccari.policy.declaration import Policy
from ccari.store.opened import Store
from ccari.store.policies import Applied
from ccari.store.untouched import schema


async def in_force(store: Store) -> Applied | None:
    """The newest revision; None if there is none, or no schema yet. Raises StoreError."""
    return await store.policies.applied() if (await schema(store.database)).applied else None


def policy(applied: Applied | None) -> Iterator[Finding]:
    """Which revision is in force. Raises StoreError if this version of ccari cannot read it."""
    if applied is None:
        yield fault("policy", "no policy has been applied: every call is blocked", "ccari policy apply FILE")
        return
    found = applied.policy()
    yield ok("policy", f"revision {applied.number}, of {applied.applied_at:%Y-%m-%d %H:%M} UTC: "
                         f"controllers {len(found.controllers)}, campaigns {len(found.campaigns)}")  # fmt: skip


async def undeclared(store: Store, policy: Policy) -> list[Finding]:
    """Bars and open requests of campaigns or controllers that are no longer declared."""
    advice = "declare it again if it was left out by mistake: ccari policy list shows the earlier revisions"
    return [warning("policy", each, advice) for each in await left_behind(store, policy)]


async def held_again(store: Store) -> list[Finding]:
    """Controllers that have left, but for which something was entered since, say by a list under way."""
    return [
        warning("controllers", f"{each!r} was deleted, but something is held of it", f"ccari controllers delete {each}")
        for each in await store.controllers.deleted_but_held()
    ]  # fmt: skip
