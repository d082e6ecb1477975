"""Policies and suppressions as people enter them."""

from uuid import uuid4

import pytest

from ccari.errors import StoreError
from ccari.policy.suppression import Reason
from ccari.store.database import Database
from ccari.store.registers import Registers
from tests.unit.store.made import POLICY, digests


async def test_the_same_policy_again_is_a_new_revision(registers: Registers) -> None:
    assert await registers.apply_policy(POLICY, "anna") == 1
    changed = POLICY.replace("odnowienie", "przedłużenie")
    assert await registers.apply_policy(changed, "anna") == 2
    newest = await registers.newest_policy()
    assert newest is not None
    assert (newest.number, newest.document) == (2, changed)


async def test_a_policy_of_an_older_ccari_bars_every_newer_one(
    registers: Registers, database: Database
) -> None:
    """A file that was sound then may be refused now: the calls are, and a sound one can still be applied."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('x', $1, 'of = \"another time\"')",
            bytes(32),
        )
    with pytest.raises(StoreError, match=r"policy revision 2 .* ccari policy apply"):
        await registers.newest_policy()
    assert await registers.apply_policy(POLICY, "anna") == 3
    assert (await registers.newest_policy()) is not None


async def test_a_bar_is_entered_twice(registers: Registers) -> None:
    entries = [
        await registers.suppress("acme", digests(), Reason.ERASURE, "cli:anna", proof) for proof in "ab"
    ]
    assert entries == [True, False]
    assert await registers.suppress("acme", digests(), Reason.OBJECTION, "cli:anna", "")
    found = await registers.suppressions_of("acme", digests())
    assert [(row["reason"], row["proof"]) for row in found] == [("erasure", "a"), ("objection", "")]
    assert len(await registers.list_suppressions(None, 10)) == 2


async def test_an_unknown_call_is_shown_as_an_empty_one(registers: Registers) -> None:
    unknown = uuid4()
    with pytest.raises(StoreError, match=f"there is no call {unknown}"):
        await registers.show_call(unknown)
