"""What the limits have in common: how things are made to expire, and what keeps each beyond its time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ccari.office import limits
from ccari.office.deletion_clock import Now, by_the_clock
from ccari.office.limits import Expired, LimitKeeper
from ccari.policy.limits import Limit
from ccari.policy.retention import Limited
from ccari.policy.rights import Level, RequestState, Right
from ccari.policy.suppression import Reason
from ccari.ports.holds import HoldOn, Subject
from ccari.store.database import Connection
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.kept import Shelf
from tests.unit.store.server import connected
from tests.unit.store.test_holds import WAITING
from tests.unit.store.test_requests import by

WITHIN = 30.0
OF_LONG_AGO = timedelta(days=366)
OTHER = made.numbers(2)[1]
HOLD = "legal hold 1 (lawsuit)"
#: The limit that every policy has.
OF_ACCESSES = Limit(Limited.ACCESSES, "", 1096)
#: Something waits for something.
HELD_UP = "SELECT count(*) FROM pg_locks WHERE NOT granted"
#: Days since a thing ended, and by how many the node's clock is wrong: a node that runs years ahead must not erase what
#: the fleet has.
by_one_clock = pytest.mark.parametrize(("ago", "wrong_by"), [(10, 3650), (366, -10)], ids=["ahead", "behind"])


def with_limit(limited: Limited, policy: str = made.POLICY) -> str:
    """The policy with a limit of a year, that of its first controller."""
    return policy.replace("[[campaigns]]", f"{limited.setting} = 365\n[[campaigns]]", 1)


async def applied(shelf: Shelf, document: str, ago: timedelta) -> None:
    await shelf.database.rows(
        "INSERT INTO policy_revisions (applied_by, sha256, document, applied_at) VALUES ('anna', $1, $2, now() - $3::interval)",
        bytes(32), document, ago,
    )  # fmt: skip


async def _extend_nothing() -> Mapping[str, str]:
    return {}


def keeper_of(
    store: Store, reach: Callable[[], Awaitable[Mapping[str, str]]] = _extend_nothing, now: Now = by_the_clock
) -> LimitKeeper:
    return LimitKeeper(store.limits, store.policies, reach, now)


async def expire_unseen(store: Store, limit: Limit, now: datetime | None = None) -> Expired:
    """Expire what is past the limit, as a service does."""
    return await limits.expire(store.limits, limit, now or datetime.now(UTC), "housekeeping")


async def expire(shelf: Shelf, limit: Limit, now: datetime | None = None) -> Expired:
    """Expire what is past the limit, and see that a look found exactly that."""
    looked_at = await limits.past(shelf.store.limits, limit, now or datetime.now(UTC))
    done = await expire_unseen(shelf.store, limit, now)
    assert done == looked_at
    return done


async def expire_beside(
    shelf: Shelf,
    dsn: str,
    limit: Limit,
    does: Callable[[Connection], Awaitable[object]],
    waiting: str = HELD_UP,
) -> Expired:
    """Expire what is past the limit, while that has to wait for the transaction of somebody who ``does`` something."""
    async with connected(dsn) as connection, asyncio.timeout(WITHIN), connection.transaction():
        await does(connection)
        expiring = asyncio.create_task(expire_unseen(shelf.store, limit))
        while not await connection.fetchval(waiting) and not expiring.done():
            pass
        assert not expiring.done()
    return await expiring


async def expire_beside_a_hold(shelf: Shelf, dsn: str, limit: Limit, on: HoldOn) -> Expired:
    """Expire what is past the limit while a hold is being placed on it."""
    controller, digests = (
        (on.subject.controller, list(on.subject.digests.all)) if on.subject else (None, None)
    )

    async def placing(connection: Connection) -> None:
        await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended('deletions', 0))")
        await connection.execute(
            """INSERT INTO holds (call_id, reference, controller, digests, reason, placed_by)
               VALUES ($1, $2, $3, $4, 'lawsuit', 'x')""",
            on.call_id, on.reference, controller, digests,
        )  # fmt: skip

    return await expire_beside(shelf, dsn, limit, placing, WAITING)


#: Takes the shelf, and what is past its limit; keeps that beyond the limit, and returns what releases it.
Keeps = Callable[..., Awaitable[Callable[[], Awaitable[object]]]]


def held(on: Callable[..., Awaitable[HoldOn]]) -> Keeps:
    async def keeps(shelf: Shelf, *past: Any) -> Callable[[], Awaitable[object]]:
        hold = (await shelf.store.holds.place(await on(shelf, *past), "lawsuit", "cli:anna"))["id"]
        return lambda: shelf.store.holds.release(hold, "settled", "cli:anna")

    return keeps


async def on_number(_: Shelf, *__: Any) -> HoldOn:
    return HoldOn(subject=Subject("acme", made.digests()))


async def on_closed_request(shelf: Shelf, *_: Any) -> HoldOn:
    reference = await person.asked(shelf)
    await person.resolved(shelf, reference)
    return HoldOn(reference=reference)


def asked_for(right: Right) -> Keeps:
    async def keeps(shelf: Shelf, *_: Any) -> Callable[[], Awaitable[object]]:
        reference = await person.asked(shelf, right)
        return lambda: shelf.store.requests.step(
            reference, RequestState.WITHDRAWN, by("cli:anna", "by phone")
        )

    return keeps


async def restricted(shelf: Shelf, *_: Any) -> Callable[[], Awaitable[object]]:
    await person.resolved(shelf, await person.asked(shelf, Right.RESTRICTION, level=Level.L1))
    return lambda: lift_restriction(shelf)


async def lift_restriction(shelf: Shelf) -> None:
    await shelf.store.suppressions.remove(
        "acme", made.digests(), "cli:anna", "told", reason=Reason.RESTRICTION
    )


async def recording_kept(shelf: Shelf, call: Any, *_: Any) -> Callable[[], Awaitable[object]]:
    await shelf.put(call)
    return lambda: recordings_deleted(shelf)


async def recordings_deleted(shelf: Shelf) -> None:
    await shelf.database.rows(
        "UPDATE recordings SET state = 'deleted', deleted_at = now(), deletion = 'retention'"
    )


#: What keeps a call, a contact or a consent alike.
ALIKE = [
    pytest.param(held(on_number), HOLD, id="hold-on-number"),
    pytest.param(held(on_closed_request), HOLD, id="hold-on-request"),
    pytest.param(asked_for(Right.ACCESS), "request ACME-2026-000001 (access)", id="access"),
    pytest.param(asked_for(Right.PORTABILITY), "request ACME-2026-000001 (portability)", id="portability"),
    pytest.param(restricted, "request ACME-2026-000001 (restriction)", id="restricted"),
]


async def told_of_one(ccari: Service, shelf: Shelf, limited: Limited, policy: str) -> None:
    """Ask the command what is past the limit before and after the limit is declared: nothing, and one."""
    none = (await ccari.ccari(limited, "purge")).out
    assert none == f"no controller of the policy in force has {limited.setting}\n"
    await applied(shelf, policy, timedelta(0))
    told = await ccari.ccari(limited, "purge")
    assert (told.code, told.err) == (0, "nothing has been erased yet: add --yes to erase 1 for good\n")


async def erases_one(ccari: Service, limited: Limited) -> None:
    assert await ccari.json(limited, "purge", "--yes") == {
        "limits": [{"controller": "acme", limited.setting: 365, limited: 1, "kept": 0, "held_by": {}}],
        "erased": True,
    }
