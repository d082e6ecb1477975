"""Policies as people enter them, and what is shown of calls."""

import threading
from uuid import uuid4

import pytest

from ccari.cli.doctor.readiness import left_behind
from ccari.errors import StoreError, UnknownError
from ccari.policy.declaration import Policy, PolicyError, read
from ccari.policy.rights import Right
from ccari.policy.suppression import Reason
from ccari.store import policies
from ccari.store.database import Database
from ccari.store.opened import Store
from ccari.store.policies import Applied, Book, Policies
from tests.unit.store.made import LONG_AGO, OTHER, POLICY, digests, exercise


async def test_the_same_policy_again_is_a_new_revision(store: Store) -> None:
    assert await store.policies.apply(POLICY, "anna") == 1
    changed = POLICY.replace("odnowienie", "przedłużenie")
    assert await store.policies.apply(changed, "anna") == 2
    newest = await store.policies.newest()
    assert newest is not None
    assert (newest.number, newest.document) == (2, changed)


@pytest.mark.parametrize("fault", [("id", "idd"), ('"contract"', '"because"'), ("[[", "[")])
async def test_a_policy_is_in_force_that_nobody_has_validated(store: Store, fault: tuple[str, str]) -> None:
    """Its calls would all be blocked, and the earlier policy is as sound as before."""
    with pytest.raises(PolicyError):
        await store.policies.apply(POLICY.replace(*fault), "anna")
    newest = await store.policies.newest()
    assert newest is not None
    assert newest.number == 1


async def test_a_policy_of_an_older_ccari_bars_every_newer_one(store: Store, database: Database) -> None:
    """A file that was sound then may be refused now: so are its calls, but a sound one can still be applied."""
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO policy_revisions (applied_by, sha256, document) VALUES ('x', $1, 'of = \"another time\"')",
            bytes(32),
        )
    with pytest.raises(StoreError, match=r"policy revision 2 .* ccari policy apply"):
        await store.policies.newest()
    assert await store.policies.apply(POLICY, "anna") == 3
    assert (await store.policies.newest()) is not None


async def test_each_question_reads_the_whole_policy_again(database: Database) -> None:
    """Every request over HTTP asks which one is in force; and one applied elsewhere counts from the next on."""
    read_whole: list[int | None] = []

    class Watched(Policies):
        async def applied(self, number: int | None = None) -> Applied | None:
            read_whole.append(number)
            return await super().applied(number)

    book = Book(Watched(database))
    for _ in range(3):
        await book.reload()
    assert (book.revision, read_whole) == (1, [None])
    assert await Policies(database).apply(POLICY.replace("odnowienie", "przedłużenie"), "anna") == 2
    await book.reload()
    assert (book.revision, read_whole) == (2, [None, None])


async def test_a_policy_goes_on_that_lost_its_number_to_another_when_the_database_was_restored(
    database: Database,
) -> None:
    """A dump from before it was restored, and at once another applied: calls were gated by the lost one until the next restart."""
    book = Book(Policies(database))
    await book.reload()
    async with database.outside_pool() as connection:
        await connection.execute(
            "ALTER TABLE policy_revisions DISABLE TRIGGER append_only; DELETE FROM policy_revisions;"
            "ALTER TABLE policy_revisions ENABLE TRIGGER append_only, ALTER revision RESTART"
        )
    assert await Policies(database).apply(OTHER, "anna") == 1
    await book.reload()
    assert book.policy == read(OTHER)
    assert await book.at(1) == read(OTHER)


async def test_each_talk_that_is_taken_up_reads_its_older_policy_anew(database: Database) -> None:
    """For some hundred campaigns that takes a tenth of a second, for each of the talks that went on over a restart."""
    read_whole: list[int | None] = []

    class Watched(Policies):
        async def applied(self, number: int | None = None) -> Applied | None:
            read_whole.append(number)
            return await super().applied(number)

    assert await Policies(database).apply(POLICY.replace("odnowienie", "przedłużenie"), "anna") == 2
    book = Book(Watched(database))
    assert [await book.at(1) for _ in range(3)] == [read(POLICY)] * 3
    assert await book.at(7) is None
    assert read_whole == [1, 7]


async def test_calls_wait_while_a_policy_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy with five hundred campaigns takes half a second, at every node, whenever somebody applies another."""
    readers: list[int] = []

    def watched(document: str) -> Policy:
        readers.append(threading.get_ident())
        return read(document)

    monkeypatch.setattr(policies, "read", watched)
    assert await Policies(database).apply(POLICY.replace("odnowienie", "przedłużenie"), "anna") == 2
    book = Book(Policies(database))
    await book.reload()
    await book.at(1)
    # the first before it is applied, for the controllers that were deleted
    assert len(readers) == 3
    assert threading.get_ident() not in readers


async def test_an_unknown_call_is_shown_as_an_empty_one(store: Store) -> None:
    unknown = uuid4()
    with pytest.raises(UnknownError, match=f"there is no call {unknown}"):
        await store.records.show_call(unknown)


async def test_a_campaign_or_controller_goes_and_nobody_learns_that_its_bars_go_with_it(store: Store) -> None:
    await store.suppressions.add("acme", digests(), Reason.DO_NOT_CALL, "x", "", campaign="renewals")
    await store.suppressions.add("acme", digests(), Reason.ERASURE, "x", "")
    await store.requests.add("acme", exercise(Right.ACCESS), digests())
    policy = read(POLICY)
    # one that has expired has no effect under any policy
    await store.suppressions.add(
        "acme", digests(), Reason.OBJECTION, "x", "", campaign="spring", expires_at=LONG_AGO
    )
    assert await store.policies.left_behind(policy) == []
    renamed = read(POLICY.replace('"renewals"', '"renewals26"'))
    assert await store.policies.left_behind(renamed) == [
        {"controller": "acme", "campaign": "renewals", "bars": 1, "requests": 0}
    ]
    other = read(POLICY.replace('"acme"', '"bank"'))
    assert await store.policies.left_behind(other) == [
        {"controller": "acme", "campaign": "", "bars": 2, "requests": 0},
        {"controller": "acme", "campaign": "", "bars": 0, "requests": 1},
    ]
    bars, _ = await left_behind(store, other)
    assert bars.startswith("2 suppressions are of 'acme', which the policy does not declare: ")
    # a processor keeps nothing of a controller whose contract has ended
    assert bars.endswith("to be handed over and deleted (Art 28(3)(g)): ccari controllers delete acme")
