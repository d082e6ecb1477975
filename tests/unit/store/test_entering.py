"""Nothing is entered for a controller that has left, and no list continues on the strength of bars that went with it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from ccari.errors import InputError
from ccari.policy.gate import Question
from ccari.policy.leaving import Goes
from ccari.policy.suppression import Reason
from ccari.store.queries import SQL
from tests.unit.store import made
from tests.unit.store.kept import Shelf
from tests.unit.store.listed import DAY, NOW, agreed, batches, contact, number
from tests.unit.store.person import asked
from tests.unit.store.server import connected
from tests.unit.store.test_controllers import ALL, WITHIN, delete, leaving, of
from tests.unit.store.waiting import until_they_wait

__all__ = ["leaving"]

FOR_ALL = Question("acme", "", "", "phone", NOW, NOW)
PURPOSES = {"offers": "marketing"}
GONE = r"'acme' was deleted on .*: if it has come back, use the id that it has now"


def allowed(_facts: object) -> None:
    """Judges that allow every number to be called."""


async def bar(shelf: Shelf) -> None:
    await shelf.store.suppressions.add("acme", made.digests(), Reason.DO_NOT_CALL, "cli", "")


async def withdraw(shelf: Shelf) -> None:
    await shelf.store.consents.withdraw(
        "acme", made.digests(), NOW, purpose=None, purposes=PURPOSES, origin="cli", proof=""
    )


async def bars(shelf: Shelf, lines: AsyncIterator[Any] | None = None) -> None:
    await shelf.store.suppressions.load("acme", made.key(), lines or batches(made.bar(1)), keep_going=True)


async def withdrawals_of(shelf: Shelf, lines: AsyncIterator[Any] | None = None) -> None:
    withdrawn = batches(made.bar(1, reason=Reason.WITHDRAW_CONSENT))
    await shelf.store.suppressions.load("acme", made.key(), lines or withdrawn, keep_going=True)


async def contacts(shelf: Shelf, lines: AsyncIterator[Any] | None = None) -> None:
    await shelf.store.contacts.load(
        FOR_ALL, allowed, lines or batches(contact()), origin="import:anna", keep_going=True
    )


async def consents_of(shelf: Shelf, lines: AsyncIterator[Any] | None = None) -> None:
    await shelf.store.consents.load(
        "acme", PURPOSES, lines or batches(agreed(given=NOW - DAY)), origin="import:anna", keep_going=True
    )


Enter = Callable[..., Coroutine[Any, Any, None]]
LISTS = [bars, withdrawals_of, contacts, consents_of]
LINES: dict[Enter, Any] = {
    bars: [made.bar(index) for index in range(9)],
    withdrawals_of: [made.bar(index, reason=Reason.WITHDRAW_CONSENT) for index in range(9)],
    contacts: [contact(number(index)) for index in range(9)],
    consents_of: [agreed(number(index)) for index in range(9)],
}


async def nothing_is_held(shelf: Shelf) -> None:
    assert not any((await of(shelf, "acme")).values())


@pytest.mark.parametrize("enter", [bar, withdraw, *LISTS])
async def test_something_is_entered_for_a_controller_that_was_deleted(leaving: Shelf, enter: Enter) -> None:
    await delete(leaving)
    with pytest.raises(InputError, match=GONE) as caught:
        await enter(leaving)
    assert caught.value.field == "controller"
    await nothing_is_held(leaving)


@pytest.mark.parametrize("enter", LISTS)
async def test_a_list_that_was_begun_before_enters_something_behind_the_deletion(
    leaving: Shelf, enter: Enter
) -> None:
    async def lines() -> AsyncIterator[Any]:
        async for batch in batches(*LINES[enter]):
            yield batch
        await delete(leaving)

    with pytest.raises(InputError, match=GONE):
        await enter(leaving, lines())
    await nothing_is_held(leaving)


@pytest.mark.parametrize("enter", [bar, withdraw, *LISTS])
async def test_what_is_entered_as_the_deletion_begins_stays(leaving: Shelf, enter: Enter, dsn: str) -> None:
    async with connected(dsn) as connection, asyncio.timeout(WITHIN):
        async with connection.transaction():
            await connection.execute(SQL["lock_controller"], "acme")
            entering = asyncio.create_task(enter(leaving))
            await until_they_wait(leaving.database)
            await connection.execute(
                "INSERT INTO controller_deletions (controller, begun_by) VALUES ('acme', 'cli:dpo')"
            )
        with pytest.raises(InputError, match="'acme' is being deleted since"):
            await entering
    await delete(leaving)
    await nothing_is_held(leaving)


async def test_a_deletion_begins_without_what_is_just_being_entered(leaving: Shelf, dsn: str) -> None:
    async with connected(dsn) as connection, asyncio.timeout(WITHIN):
        async with connection.transaction():
            await connection.execute(SQL["share_controller"], "acme")
            await connection.execute(
                """INSERT INTO suppressions (controller, digest, key_version, campaign, reason, origin, proof)
                   VALUES ('acme', $1, 1, '', 'do_not_call', 'cli', '')""",
                bytes(32),
            )
            deleting = asyncio.create_task(delete(leaving))
            await until_they_wait(leaving.database)
        assert (await deleting)[Goes.SUPPRESSIONS] == ALL[Goes.SUPPRESSIONS] + 1


async def test_a_scrub_lets_those_through_whose_bars_went_with_their_controller(leaving: Shelf) -> None:
    """It began under the earlier policy."""
    async with leaving.store.contacts.sieve(FOR_ALL, allowed) as sieve:
        sought = [contact(number(0))[1]]
        assert await sieve.sift(sought) == [None]
        await delete(leaving)
        with pytest.raises(InputError, match=GONE):
            await sieve.sift(sought)


async def test_what_a_person_asks_for_is_refused_as_their_controller_has_left(leaving: Shelf) -> None:
    """A request has to be answered, whatever is left; and a right that another node had on its disk is never lost."""
    await delete(leaving)
    assert (await asked(leaving)).startswith("ACME-")


async def test_another_controller_is_refused(leaving: Shelf) -> None:
    await delete(leaving)
    await leaving.store.suppressions.add("beta", made.digests("beta"), Reason.DO_NOT_CALL, "cli", "")
