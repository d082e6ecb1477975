"""Calls in progress over HTTP: each change, for the controllers whose calls they are, and for nobody else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID, uuid4

import aiohttp
import pytest

from ccari.calls import board as boards
from ccari.calls.board import Board
from ccari.policy.bases import LegalBasis
from ccari.policy.call import Direction, Stage
from ccari.policy.rights import Right
from ccari.ports.access import Role
from ccari.ports.live import LiveCall, Taped
from ccari.store.opened import Store
from ccari.tasks import started
from ccari.web.events import MOST_STREAMS_EACH, Streams
from ccari.web.front import Front
from tests.unit.web.api import Api, serving
from tests.unit.web.test_events import block, event

EVENTS = "/v1/calls/events"
NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)


def live(
    stage: str = "ring", controller: str = "acme", *, call: UUID | None = None, campaign: str = "renewals"
) -> LiveCall:
    return LiveCall(
        call_id=call or uuid4(), controller=controller, campaign=campaign, direction=Direction.OUTBOUND, agent="anna",
        number_masked="+48•••••0001", legal_basis=LegalBasis.CONTRACT, recording_mode="notice", begun_at=NOW, stage=Stage(stage),
        since=NOW, recording=Taped.OFF, rights=(Right.ACCESS,), outcome=None, reason="",
    )  # fmt: skip


@dataclass(frozen=True)
class Stands:
    """A call that is shown on the board just as it is given."""

    call: LiveCall

    @property
    def call_id(self) -> UUID:
        return self.call.call_id

    @property
    def is_over(self) -> bool:
        return self.call.is_over

    def snapshot(self) -> LiveCall:
        return self.call


@dataclass(frozen=True)
class Floor:
    """A place for calls without anybody who makes them."""

    board: Board

    def put(self, call: LiveCall) -> None:
        self.board.put(Stands(call))


def board(front: Front) -> Floor:
    assert isinstance(front.live, Board)
    return Floor(front.live)


@contextlib.asynccontextmanager
async def watching(api: Api, token: str, query: str = "") -> AsyncIterator[aiohttp.StreamReader]:
    headers = {"authorization": f"Bearer {token}"}
    async with api.session.get(f"{api.url}{EVENTS}{query}", headers=headers) as answer:
        assert answer.status == HTTPStatus.OK
        assert await block(answer.content) == "retry: 3000\n: watching"
        yield answer.content


async def test_a_call_that_goes_on_or_ends_is_not_told_of(api: Api, front: Front) -> None:
    first = live()
    board(front).put(first)
    async with watching(api, await api.of(Role.OPS)) as stream:
        shown = await event(stream, "call")
        assert (shown["call_id"], shown["stage"], shown["rights"], shown["number_masked"]) == (
            str(first.call_id), "ring", ["access"], "+48•••••0001",
        )  # fmt: skip
        for stage in ("notice", "talk", "closed"):
            board(front).put(live(stage, call=first.call_id))
            told = await event(stream, "call")
            assert (told["call_id"], told["stage"]) == (str(first.call_id), stage)


async def test_a_call_of_another_controller_or_campaign_is_told_of(api: Api, front: Front) -> None:
    token = await api.token(Role.DPO, controllers={"acme"})
    theirs, other, mine = live(controller="other"), live(campaign="offers"), live()
    async with watching(api, token, "?campaign=renewals") as stream:
        for each in (theirs, other, mine):
            board(front).put(each)
        assert (await event(stream, "call"))["call_id"] == str(mine.call_id)
    (await api.ask("GET", f"{EVENTS}?controller=other", token=token)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    for role in (Role.DIALER, Role.AGENT):
        (await api.ask("GET", EVENTS, role=role)).problem(HTTPStatus.FORBIDDEN)


async def test_who_cannot_be_told_of_all_goes_on_as_if_they_were(
    api: Api, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "MOST_OVER", 3)
    async with watching(api, await api.of(Role.OPS)) as stream:
        # all at once, so that nothing of it can be read meanwhile
        for _ in range(5):
            board(front).put(live("closed"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.read()


async def test_a_revoked_token_goes_on_seeing_calls(store: Store, front: Front) -> None:
    async with serving(store, front, streams=Streams(heartbeat=0.05)) as api:
        token = await api.token(Role.OPS, name="wallboard")
        async with watching(api, token) as stream:
            await store.tokens.revoke("wallboard", "test")
            while (told := await block(stream)) == ": still here":
                pass
            assert told is None


async def test_a_watcher_with_nothing_to_see_is_silent_while_others_call(store: Store, front: Front) -> None:
    """A proxy would cut it off; and one that has left would keep its place, which nothing that is sent tells of."""
    theirs = live(campaign="offers")

    async def others_call() -> None:
        while True:
            board(front).put(theirs)
            await asyncio.sleep(0)

    async with (
        serving(store, front, streams=Streams(heartbeat=0.2)) as api,
        watching(api, await api.of(Role.OPS), "?campaign=renewals") as stream,
        started(others_call()),
    ):
        for _ in range(3):
            assert await block(stream) == ": still here"


async def test_streams_of_calls_are_opened_without_end(api: Api) -> None:
    token = await api.of(Role.OPS)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_STREAMS_EACH):
            await stack.enter_async_context(watching(api, token))
        (await api.ask("GET", EVENTS, token=token)).problem(HTTPStatus.SERVICE_UNAVAILABLE)
