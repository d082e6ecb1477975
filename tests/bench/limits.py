"""Contacts and consents, some past their time limit: how long it takes to find them, and how fast they are deleted."""

import resource
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from ccari.office.limits import expire, past
from ccari.policy.limits import Limit
from ccari.policy.retention import Limited
from ccari.store.database import Database
from ccari.store.opened import Store

#: Contacts were entered, and consents given, evenly over a thousand days, which ended a hundred days ago.
NONE_DAYS, FEW_DAYS, ALL_DAYS = 2000, 1098, 30
#: One in ten was called recently, and one in a hundred has asked for access.
_CALLED_IN, _ASKED_IN = 10, 100

_FILL = {
    "contacts": """
        INSERT INTO contacts (controller, digest, key_version, source, legal_basis, obtained_on, origin, entered_at)
        SELECT 'acme', sha256(i::text::bytea), 1, 'fair', 'contract', '2020-01-01', 'list', now() - interval '100 days' - i * interval '1000 days' / $1
        FROM generate_series(1, $1::int) AS i""",
    # every second one has ended, a day after it was given
    "consents": """
        INSERT INTO consents (controller, digest, key_version, purpose, channel, given_at, valid_until, proof, origin)
        SELECT 'acme', sha256(i::text::bytea), 1, 'marketing', 'phone', now() - interval '100 days' - i * interval '1000 days' / $1,
               CASE WHEN i % 2 = 0 THEN now() - interval '100 days' - i * interval '1000 days' / $1 + interval '1 day' END, 'form', 'list'
        FROM generate_series(1, $1::int) AS i""",
    "calls": """
        INSERT INTO calls (id, asterisk, revision, controller, campaign, legal_basis, agent, digest, key_version, number_masked,
                           token, opened_at, last_link, ended_at, outcome)
        SELECT gen_random_uuid(), 'pbx', 1, 'acme', 'renewals', 'contract', 'anna', sha256(i::text::bytea), 1, '—',
               gen_random_uuid(), now(), '', now(), 'bridged'
        FROM generate_series($2::int, $1::int, $2) AS i""",
    "requests": """
        INSERT INTO rights_requests (reference, controller, "right", article, digest, digests, key_version, received_at, state, due)
        SELECT 'ACME-2020-' || i, 'acme', 'access', '15', sha256(i::text::bytea), ARRAY[sha256(i::text::bytea)], 1, now(),
               'received', '2020-01-01'
        FROM generate_series(2, $1::int, $2::int) AS i""",
}  # fmt: skip


async def bench(
    store: Store, database: Database, contacts: int, consents: int,
    watching: Callable[[str], AbstractAsyncContextManager[None]],
) -> bool:  # fmt: skip
    """Whether each was deleted or kept, as the law says. ``watching``: measures the effect on calls, under a name."""
    began = time.perf_counter()
    async with database.outside_pool() as connection:
        await connection.execute(_FILL["contacts"], contacts)
        await connection.execute(_FILL["consents"], consents)
        await connection.execute(_FILL["calls"], contacts, _CALLED_IN)
        await connection.execute(_FILL["requests"], max(contacts, consents), _ASKED_IN)
        # as autovacuum does after that many rows
        await connection.execute("VACUUM ANALYZE")
    print(f"{contacts} contacts and {consents} consents made in {time.perf_counter() - began:.0f} s")
    right = True
    for limited, gone, kept in (
        (
            Limited.CONTACTS,
            contacts - contacts // _CALLED_IN - contacts // _ASKED_IN,
            contacts // _ASKED_IN,
        ),
        (Limited.CONSENTS, consents // 2 - consents // _ASKED_IN, consents // _ASKED_IN),
    ):
        for days, how_many in ((NONE_DAYS, "none"), (FEW_DAYS, "a few"), (ALL_DAYS, "all")):
            began = time.perf_counter()
            found = await past(store.limits, Limit(limited, "acme", days), datetime.now(UTC))
            print(
                f"{limited}, {how_many} past their time: found {found.gone}, and {found.kept} kept, in {_since(began)}"
            )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        limit = Limit(limited, "acme", ALL_DAYS)
        began = time.perf_counter()
        async with watching(f"while {limited} expire"):
            done = await expire(store.limits, limit, datetime.now(UTC), "bench")
        took = time.perf_counter() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(
            f"{limited}: {done.gone} gone in {took:.0f} s: {done.gone / took:.0f}/s; {done.kept} kept; {grown:.0f} MB more"
        )
        began = time.perf_counter()
        again = await expire(store.limits, limit, datetime.now(UTC), "bench")
        print(f"{limited}, the next round: {_since(began)}")
        right &= (done.gone, done.kept, again.gone, again.kept) == (gone, kept, 0, kept)
    return right


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.2f} s"
