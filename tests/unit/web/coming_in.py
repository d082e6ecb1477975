"""Lists that are being sent, and take all the turns there are for lists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from aiohttp import web

from ccari.ports.access import Role
from ccari.web import uploads
from ccari.web.endpoint import LONG_AT_ONCE
from tests.unit.web.api import Api


@asynccontextmanager
async def lists_coming_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """While the context lasts there is no turn for another; at its end each of them is accepted."""
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
        giving = [tasks.create_task(give(Role.OPS if each % 2 else Role.DPO)) for each in range(LONG_AT_ONCE)]
        for _ in giving:
            await has_its_turn.acquire()
        yield
        end.set()
    assert [each.result() for each in giving] == [HTTPStatus.OK] * LONG_AT_ONCE
