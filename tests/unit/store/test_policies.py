"""Policies as people enter them, and what is shown of calls."""

from uuid import uuid4

import pytest

from ccari.errors import StoreError
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.unit.store.made import POLICY


async def test_the_same_policy_again_is_a_new_revision(store: Store) -> None:
    assert await store.policies.apply(POLICY, "anna") == 1
    changed = POLICY.replace("odnowienie", "przedłużenie")
    assert await store.policies.apply(changed, "anna") == 2
    newest = await store.policies.newest()
    assert newest is not None
    assert (newest.number, newest.document) == (2, changed)


async def test_a_policy_of_an_older_ccari_bars_every_newer_one(store: Store, database: Database) -> None:
    """A file that was sound then may be refused now: the calls are, and a sound one can still be applied."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('x', $1, 'of = \"another time\"')",
            bytes(32),
        )
    with pytest.raises(StoreError, match=r"policy revision 2 .* ccari policy apply"):
        await store.policies.newest()
    assert await store.policies.apply(POLICY, "anna") == 3
    assert (await store.policies.newest()) is not None


async def test_an_unknown_call_is_shown_as_an_empty_one(store: Store) -> None:
    unknown = uuid4()
    with pytest.raises(StoreError, match=f"there is no call {unknown}"):
        await store.records.show_call(unknown)
