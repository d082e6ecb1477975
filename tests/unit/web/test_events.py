"""Server-sent events: the agent's own cards, in time and whole, to whoever may still see them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest

from ccari.calls.cards import MOST_WAITING, Rack
from ccari.gating.terms import Terms
from ccari.policy.campaign import AgentScripts
from ccari.policy.declaration import read
from ccari.policy.recording import Recording
from ccari.policy.rights import Right
from ccari.ports.access import Role
from ccari.ports.cards import AgentCard, Asked, Past
from ccari.store.opened import Store
from ccari.web.events import MOST_STREAMS_EACH, Streams
from ccari.web.front import Front
from tests.lab.waiting import until
from tests.unit.store import made
from tests.unit.web.api import TWO, Api, serving

SECONDS = 30.0
NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)


PAST = Past("umowa", None, [Asked(Right.ACCESS, "ACME-2026-000001", "received", NOW)])


def card(
    agent: str = "anna", controller: str = "acme", *, name: str | None = None, past: Past | None = PAST,
    recording: Mapping[str, str] | None = None,
) -> AgentCard:  # fmt: skip
    """The card of one call as calls make it: for that controller, which people know as ``name``."""
    policy = read(TWO)
    campaign = next(each for each in policy.campaigns if each.controller == controller)
    whose = policy.controller_of(campaign)
    changes: dict[str, Any] = {
        "data_source": None,
        "agent_scripts": AgentScripts(source="Z umowy zawartej z ACME."),
    }
    if recording is not None:
        changes["recording"] = Recording.model_validate(recording)
    said = campaign.model_copy(update=changes)
    terms = Terms(
        controller=whose.model_copy(update={"name": name}) if name else whose, campaign=said, registers=(),
        number=made.NUMBER, opened=replace(made.call(controller), agent=agent), scripts={}, language="pl",
        consent_campaigns=(),
    )  # fmt: skip
    return terms.card(past)


@contextlib.asynccontextmanager
async def watching(api: Api, agent: str, token: str) -> AsyncIterator[aiohttp.StreamReader]:
    """A stream that is open and watched."""
    headers = {"authorization": f"Bearer {token}"}
    async with api.session.get(f"{api.url}/v1/agents/{agent}/events", headers=headers) as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert await block(answer.content) == "retry: 3000\n: watching"
        yield answer.content


async def block(stream: aiohttp.StreamReader) -> str | None:
    """Read up to the next empty line; None: the stream has ended as it should."""
    async with asyncio.timeout(SECONDS):
        lines: list[str] = []
        while line := (await stream.readline()).decode():
            if line == "\n":
                return "".join(lines).strip()
            lines.append(line)
    assert lines == []
    return None


async def event(stream: aiohttp.StreamReader, kind: str = "agent_card") -> dict[str, Any]:
    told = await block(stream)
    assert told is not None
    name, data = told.split("\n")
    assert name == f"event: {kind}"
    shown: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return shown


def rack(front: Front) -> Rack:
    assert isinstance(front.cards, Rack)
    return front.cards


async def test_a_card_is_lost_or_told_in_other_words(api: Api, front: Front) -> None:
    async with watching(api, "anna", await api.of(Role.AGENT)) as stream:
        sent = [card(), card(past=Past()), card(past=None)]
        for each in sent:
            rack(front).hand_out(each)
        shown = [await event(stream) for _ in sent]
    assert [each["call_id"] for each in shown] == [str(each.call_id) for each in sent]
    first = shown[0]
    assert (first["number_masked"], first["source"], shown[1]["source"]) == ("+48•••••0001", "umowa", None)
    assert (first["controller"], first["controller_name"]) == ("acme", "ACME Sp. z o.o.")
    assert first["scripts"] == {"source": "Z umowy zawartej z ACME.", "why": "odnowienie umowy"}
    # nothing was ever asked, or nobody can say
    assert [each["asked"] for each in shown[1:]] == [[], None]
    assert first["asked"] == [
        {
            "right": "access",
            "reference": "ACME-2026-000001",
            "state": "received",
            "received_at": "2026-11-25T10:00:00Z",
        }
    ]


async def test_an_agent_sees_anothers_cards(api: Api, front: Front) -> None:
    token = await api.of(Role.AGENT)
    (await api.ask("GET", "/v1/agents/bert/events", token=token)).problem(HTTPStatus.FORBIDDEN)
    async with watching(api, "anna", token) as stream:
        rack(front).hand_out(card("bert"))
        mine = card("anna")
        rack(front).hand_out(mine)
        assert (await event(stream))["call_id"] == str(mine.call_id)


async def test_a_token_of_one_controller_sees_the_cards_of_another_or_not_its_own(
    api: Api, front: Front
) -> None:
    token = await api.token(Role.DIALER, controllers={"acme"})
    async with watching(api, "anna", token) as stream:
        mine = card(name="other")
        # what one controller is called may be another's id
        for each in (card(controller="other"), card(controller="other", name="acme"), mine):
            rack(front).hand_out(each)
        assert (await event(stream))["call_id"] == str(mine.call_id)


async def test_a_quiet_stream_is_taken_for_a_dead_one(store: Store, front: Front) -> None:
    async with (
        serving(store, front, streams=Streams(heartbeat=0.05)) as api,
        watching(api, "anna", await api.of(Role.AGENT)) as stream,
    ):
        for _ in range(3):
            assert await block(stream) == ": still here"
        rack(front).hand_out(card())
        while (told := await block(stream)) == ": still here":
            pass
        assert told is not None
        assert told.startswith("event: agent_card")


@pytest.mark.parametrize("with_card", [False, True])
async def test_a_revoked_token_goes_on_seeing_cards(store: Store, front: Front, with_card: bool) -> None:  # noqa: FBT001 - parametrized
    heartbeat = SECONDS if with_card else 0.05
    async with serving(store, front, streams=Streams(heartbeat)) as api:
        token = await api.token(Role.AGENT, name="anna-desk")
        async with watching(api, "anna", token) as stream:
            await store.tokens.revoke("anna-desk", "test")
            if with_card:
                rack(front).hand_out(card())
            while (told := await block(stream)) == ": still here":
                pass
            assert told is None


async def test_a_stream_outlives_the_service_or_holds_it_up(store: Store, front: Front) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stopping = await stack.enter_async_context(contextlib.AsyncExitStack())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        api = await stopping.enter_async_context(serving(store, front))
        url = f"{api.url}/v1/agents/anna/events"
        headers = {"authorization": f"Bearer {await api.of(Role.AGENT)}"}
        answer = await stack.enter_async_context(session.get(url, headers=headers))
        await block(answer.content)
        async with asyncio.timeout(SECONDS):
            await stopping.aclose()
            # the last chunk was sent: the stream was not cut off
            assert await answer.content.read() == b""


async def test_streams_are_opened_without_end_or_not_given_back(api: Api) -> None:
    token = await api.of(Role.AGENT)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MOST_STREAMS_EACH):
            await stack.enter_async_context(watching(api, "anna", token))
        told = await api.ask("GET", "/v1/agents/anna/events", token=token)
        told.problem(HTTPStatus.SERVICE_UNAVAILABLE)
        async with watching(api, "bert", await api.of(Role.DIALER)):
            pass


async def test_a_reader_that_has_left_keeps_its_place(store: Store, front: Front) -> None:
    async with serving(store, front, streams=Streams(heartbeat=0.05)) as api:
        token = await api.of(Role.AGENT)
        for _ in range(MOST_STREAMS_EACH):
            async with watching(api, "anna", token):
                pass

        async def is_free() -> bool:
            return await _tried(api, token) == HTTPStatus.OK

        await until(is_free, within=SECONDS)


async def _tried(api: Api, token: str) -> int:
    async with api.session.get(
        f"{api.url}/v1/agents/anna/events", headers={"authorization": f"Bearer {token}"}
    ) as got:
        return got.status


def test_a_watch_that_is_not_read_grows_without_end_or_keeps_the_oldest() -> None:
    cards = Rack()
    with cards.watch("anna") as watch:
        sent = [card() for _ in range(MOST_WAITING + 3)]
        for each in sent:
            cards.hand_out(each)
        read = [asyncio.run(_within(watch.next())) for _ in range(MOST_WAITING)]
    assert read == sent[3:]


async def _within(coming: Any) -> Any:
    async with asyncio.timeout(SECONDS):
        return await coming


async def test_who_no_longer_watches_is_handed_cards() -> None:
    cards = Rack()
    with cards.watch("anna") as gone:
        pass
    with cards.watch("anna") as one, cards.watch("anna") as another:
        cards.hand_out(card())
        assert await _within(one.next()) == await _within(another.next())
    cards.hand_out(card())
    coming = asyncio.ensure_future(gone.next())
    await asyncio.sleep(0)
    assert not coming.done()
    coming.cancel()
