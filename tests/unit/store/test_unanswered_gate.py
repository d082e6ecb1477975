"""A gate that asks and gets no answer: the database may have written the call's row all the same, or may do so later."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.actions import Actions
from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.order import Order
from ccari.errors import StoreError
from ccari.gating.journal import Journal
from ccari.keyring.secrets import SecretStore
from ccari.policy.call import Direction, Outcome
from ccari.policy.call import commands as do
from ccari.store.calls import PostgresCallStore
from ccari.store.opened import Store
from ccari.store.policies import Book
from tests.unit.store.made import ASTERISK, NUMBER, new_secret
from tests.unit.store.test_gatekeeper import Silent


class Unanswered(PostgresCallStore):
    """The reply to the gate is lost; ``late``: the write has not even begun, and begins when it is told to."""

    late = False
    catch_up: Callable[[], Awaitable[Any]]

    async def open(self, *arguments: Any) -> Any:
        self.catch_up = lambda: super(Unanswered, self).open(*arguments)
        if not self.late:
            await self.catch_up()
        raise StoreError("the database did not answer in time")


@pytest.mark.parametrize("late", [False, True])
async def test_a_call_whose_gate_had_no_answer_stays_open_for_ever(
    store: Store, tmp_path: Path, *, late: bool
) -> None:
    book, secrets, absent = Book(store.policies), SecretStore(tmp_path), cast("Any", None)
    await book.reload()
    new_secret(secrets, "acme")
    calls = Unanswered(store.database)
    calls.late = late
    desk = Desk(ASTERISK, calls, secrets, book, cast("Any", Silent()), *([absent] * 6))
    order = Order(Direction.OUTBOUND, NUMBER.e164, "renewals", "anna", channel="channel")
    call_id = uuid4()
    journal = Journal(call_id, "anna")
    actions = Actions(order, Ids(call_id, Direction.OUTBOUND, "channel"), desk, journal)
    with pytest.raises(StoreError, match="in time"):
        await actions.carry_out(do.CheckGate())
    journal.note("call_blocked", {"reason": "store_unavailable"})
    blocked_at = datetime.now(UTC)
    await actions.carry_out(do.CloseCall(Outcome.UNAVAILABLE, "store_unavailable"))
    if late:
        await calls.catch_up()
    shown = await store.records.show_call(call_id)
    assert (shown.call["outcome"], shown.call["reason"]) == ("unavailable", "store_unavailable")
    assert [each["event"] for each in shown.events] == ["call_blocked"]
    assert shown.fault is None
    # while the database is away the row may be written long after, and would differ from the journal
    assert shown.call["opened_at"] <= blocked_at
