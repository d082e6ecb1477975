"""Lists that are being sent, and take turns that there are for lists."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from aiohttp import web

from ccari.ports.access import Role
from ccari.web import uploads
from ccari.web.endpoint import LONG_AT_ONCE
from tests.unit.web.api import Api

#: As many as there may be.
ALL = [Role.OPS if each % 2 else Role.DPO for each in range(LONG_AT_ONCE)]


@asynccontextmanager
async def lists_coming_in(
    api: Api, monkeypatch: pytest.MonkeyPatch, senders: Sequence[Role] = ALL
) -> AsyncIterator[None]:
    """While the context lasts each of them has a turn; at its end each is accepted."""
    end, has_its_turn, of = asyncio.Event(), asyncio.Semaphore(0), uploads.Upload.of

    def begun(request: web.Request) -> uploads.Upload:
        has_its_turn.release()
        return of(request)

    async def waits() -> AsyncIterator[bytes]:
        yield b"number\n"
        await end.wait()

    async def give(role: Role) -> int:
        headers = {"content-type": "text/csv", "authorization": f"Bearer {await api.of(role)}"}
        async with api.session.post(url, data=waits(), headers=headers) as answer:
            return answer.status

    monkeypatch.setattr(uploads.Upload, "of", begun)
    url = f"{api.url}/v1/suppressions/import?controller=acme"
    async with asyncio.TaskGroup() as tasks:
        giving = [tasks.create_task(give(each)) for each in senders]
        for _ in giving:
            await has_its_turn.acquire()
        yield
        end.set()
    assert [each.result() for each in giving] == [HTTPStatus.OK] * len(giving)
