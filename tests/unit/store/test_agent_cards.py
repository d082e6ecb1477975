"""Who is told of a call when the callee answers, and who is named in what is registered in it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.actions import Actions
from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.calls.desk import Desk
from ccari.calls.events import Ids
from ccari.calls.order import Order
from ccari.errors import StoreError
from ccari.gating.journal import Journal
from ccari.keyring.secrets import SecretStore
from ccari.policy.call import Direction, Event, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.campaign import Campaign
from ccari.policy.rights import Right
from ccari.ports.calls import OpenedCall
from ccari.ports.cards import AgentCard, Past
from ccari.store.calls import PostgresCallStore
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.queries import SQL
from tests.unit.store import made
from tests.unit.store.made import ASTERISK, NUMBER, new_secret
from tests.unit.store.test_destinations import connecting
from tests.unit.store.test_gatekeeper import Silent


@dataclass
class Line:
    """An Asterisk in which every request succeeds, and which remembers whom it was told to ring."""

    rung: list[str] = field(default_factory=list)

    async def create_channel(self, channel_id: str, endpoint: str, **_: Any) -> None:
        self.rung.append(endpoint)

    async def take_from_bridge(self, bridge_id: str, channel_id: str, *, beside: bool) -> None: ...

    async def answer_transfer(self, channel_id: str, *, made: bool) -> None: ...

    async def hang_up(self, channel_id: str) -> bool:
        return True

    async def set_variable(self, channel_id: str, name: str, value: str) -> None: ...

    async def continue_in_dialplan(self, channel_id: str, context: str | None = None) -> None: ...

    async def variable(self, channel_id: str, name: str) -> str:
        return "allowed"

    async def lacking(self, campaign: Campaign, *, inbound: bool = False) -> Mapping[str, Sequence[str]]:
        return {}


class Forgetful(PostgresCallStore):
    """The database goes away once the call is under way."""

    async def past_of(self, call: OpenedCall) -> Past:
        raise StoreError("the database did not answer in time")


class Played:
    """A call whose commands are carried out one by one, and the cards that are handed out meanwhile to those who watch."""

    def __init__(
        self, store: Store, folder: Path, direction: Direction, destination: str | None, *, forgets: bool = False
    ) -> None:  # fmt: skip
        self.line, self.rack, self._secrets = Line(), Rack(), SecretStore(folder)
        new_secret(self._secrets, "acme")
        self._book, call = Book(store.policies), uuid4()
        calls = Forgetful(store.database) if forgets else store.calls
        desk = Desk(
            ASTERISK, calls, self._secrets, self._book, cast("Any", Silent()), cast("Any", self.line),
            cast("Any", None), cast("Any", None), cast("Any", None), self.rack, Board(),
        )  # fmt: skip
        # as the switchboard does it: what the call names, or else the campaign
        order = Order(direction, NUMBER.e164, "renewals", destination or "renewals", destination)
        self._actions = Actions(order, Ids(call, direction, None), desk, Journal(call, order.agent))

    async def begin(self) -> None:
        await self._book.reload()
        assert isinstance(await self.does(do.CheckGate()), on.GateAllowed)

    async def does(self, command: do.Action) -> Event | None:
        return await self._actions.carry_out(command)

    async def cards(self, *names: str) -> dict[str, AgentCard]:
        """The cards that the named agents are handed when the call shows its card."""
        told = {}
        with self.rack.watch(names[0]) as one, self.rack.watch(names[-1]) as another:
            await self.does(do.ShowCard())
            for name, watch in ((names[0], one), (names[-1], another)):
                waiting = cast("Any", watch).waiting
                if not waiting.empty():
                    told[name] = await watch.next()
        return told


@pytest.mark.parametrize("direction", [Direction.CALLEE_FIRST, Direction.INBOUND])
async def test_the_one_phone_that_a_campaign_rings_is_not_told_of_the_call(
    store: Store, tmp_path: Path, direction: Direction
) -> None:
    await store.policies.apply(connecting("PJSIP/anna@pbx"), "test")
    call = Played(store, tmp_path, direction, None)
    await call.begin()
    told = await call.cards("anna", "renewals")
    assert list(told) == ["anna"]
    assert (told["anna"].agent, told["anna"].controller) == ("anna", "acme")
    assert [row["agent"] for row in await store.records.list_calls(10)] == ["anna"]


async def test_whoever_is_named_gets_the_card_of_the_phone_that_is_rung(store: Store, tmp_path: Path) -> None:
    await store.policies.apply(connecting("PJSIP/anna"), "test")
    call = Played(store, tmp_path, Direction.AGENT_FIRST, "bert")
    await call.begin()
    assert list(await call.cards("anna", "bert")) == ["anna"]


async def test_the_card_of_a_queue_or_of_the_agent_whom_a_call_names_goes_elsewhere(
    store: Store, tmp_path: Path
) -> None:
    await store.policies.apply(connecting("Local/vips@queues"), "test")
    queued = Played(store, tmp_path / "queued", Direction.CALLEE_FIRST, None)
    await queued.begin()
    assert list(await queued.cards("renewals", "vips")) == ["renewals"]
    await store.policies.apply(connecting("PJSIP/{agent}"), "test")
    named = Played(store, tmp_path / "named", Direction.AGENT_FIRST, "bert")
    await named.begin()
    assert list(await named.cards("bert", "renewals")) == ["bert"]


async def test_a_right_by_the_codes_of_the_one_phone_is_registered_by_the_campaign(
    store: Store, tmp_path: Path
) -> None:
    await store.policies.apply(connecting("PJSIP/anna"), "test")
    call = Played(store, tmp_path, Direction.CALLEE_FIRST, None)
    await call.begin()
    done = await call.does(do.RegisterRight(Right.ACCESS, "*8", Party.AGENT))
    assert isinstance(done, on.RightRegistered)
    shown = await store.requests.show(done.reference)
    assert [step["who"] for step in shown.history] == ["anna"]


async def test_the_database_is_asked_for_a_card_that_nobody_looks_at(store: Store, tmp_path: Path) -> None:
    await store.policies.apply(connecting("PJSIP/anna"), "test")
    call, asked = Played(store, tmp_path, Direction.CALLEE_FIRST, None), list[str]()
    await call.begin()
    async with store.database.connection() as connection:
        connection.add_query_logger(lambda record: asked.append(record.query))
    assert await call.cards("bert") == {}
    # what is logged appears at the loop's next turn
    await asyncio.sleep(0)
    assert asked == []
    assert list(await call.cards("anna")) == ["anna"]
    await asyncio.sleep(0)
    assert asked.count(SQL["past_of_number"]) == 1


async def test_what_a_number_has_asked_before_is_mixed_up_or_brings_too_much(store: Store) -> None:
    call, other = made.call(), made.call(number=made.numbers(2)[1])
    assert await store.calls.past_of(call) == Past(None, None, [])
    references = []
    for each, days in ((call, 1), (call, 3), (call, 2), (other, 4)):
        received = replace(made.exercise(), received_at=made.NOW + timedelta(days=days))
        references.append(await store.requests.add("acme", received, each.digests))
    past = await store.calls.past_of(call)
    assert [each.reference for each in past.asked] == [references[at] for at in (1, 2, 0)]
    assert (past.source, past.heard_at) == (None, None)


async def test_a_card_is_lost_with_the_past_that_is_on_it(store: Store, tmp_path: Path) -> None:
    await store.policies.apply(connecting("PJSIP/anna"), "test")
    call = Played(store, tmp_path, Direction.CALLEE_FIRST, None, forgets=True)
    await call.begin()
    told = (await call.cards("anna"))["anna"]
    assert (told.source, told.asked, told.heard_at) == ("umowa zawarta z ACME", None, None)


async def test_a_colleague_who_takes_over_is_not_told_of_the_call_or_the_agent_who_was_is(
    store: Store, tmp_path: Path
) -> None:
    text = connecting("PJSIP/anna").replace("agent =", 'transfer = "PJSIP/{extension}@phones"\nagent =')
    await store.policies.apply(text, "test")
    call = Played(store, tmp_path, Direction.CALLEE_FIRST, None)
    await call.begin()
    await call.does(do.HandOver("bert"))
    assert call.line.rung == ["PJSIP/bert@phones"]
    told = await call.cards("anna", "bert")
    assert list(told) == ["bert"]
    assert told["bert"].agent == "bert"
    done = await call.does(do.RegisterRight(Right.ACCESS, "*8", Party.AGENT))
    assert isinstance(done, on.RightRegistered)
    shown = await store.requests.show(done.reference)
    assert [step["who"] for step in shown.history] == ["bert"]
