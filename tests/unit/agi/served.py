"""A FastAGI server over a real store, and visits to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

from ccari.agi.desk import Desk
from ccari.agi.server import serve_agi
from ccari.errors import SoundError, StoreError
from ccari.policy import notices, speech
from ccari.policy.campaign import Campaign
from ccari.policy.parties import Controller
from ccari.ports.calls import CallStore, OpenedCall
from ccari.ports.cards import Past
from ccari.ports.requests import Exercise
from ccari.ports.sounds import Script, Sound
from ccari.store.calls import PostgresCallStore
from ccari.store.opened import Store
from tests.lab.ports import free_port
from tests.lab.waiting import until
from tests.unit.agi.asterisk import Caller, caller
from tests.unit.store.made import POLICY

SECONDS = 30.0
WITH_KEYS = (
    POLICY
    + """
[campaigns.keys]
"2" = "continue_unrecorded"
"7" = "erasure"
"8" = "access"
"9" = "data_source"
"""
)
#: It has as many digits as a short telephone number.
DATED = WITH_KEYS.replace('"renewals"', '"offers-20261001"')


class Sounds:
    """Prompts whose sounds are named after them."""

    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> dict[str, Script]:
        names = (
            "rights",
            "right_failed",
            "right_registered_erasure",
            "right_registered_access",
            "answer_within_month",
            "number_withheld",
            "source",
            "reference_is",
            "answer_by",
            *speech.PROMPTS,
        )
        sounds = {name: await self.common(name, "pl") for name in names}
        return {campaign.language: Script(sounds, dict.fromkeys(notices.wordings(campaign), "1"))}

    async def keep(self, campaign: Campaign) -> None:
        pass

    async def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        return []

    async def common(self, prompt: str, language: str) -> Sound:
        return Sound(f"sound:{prompt}", 1000, prompt)

    async def source(self, words: str, language: str) -> Sound:
        if words != "fair":
            raise SoundError("not built")
        return await self.common("source_fair", language)


@contextlib.asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[int]:
    port = free_port(socket.SOCK_STREAM, "127.0.0.1")
    async with serve_agi(f"127.0.0.1:{port}", desk):
        yield port


async def ask(port: int, *arguments: str, has_array: bool = True, address: str = "127.0.0.1") -> Caller:
    async with caller(port, address) as asterisk:
        asterisk.has_array = has_array
        asterisk.enter("gate", *arguments)
        await asterisk.obey()
    return asterisk


async def closed(store: Store, call: str) -> dict[str, Any]:
    """The call's row, once it is closed, which happens after the dialplan has gone on."""

    async def ended() -> bool:
        return (await store.records.show_call(UUID(call))).call["ended_at"] is not None

    await until(ended, within=SECONDS)
    record = await store.records.show_call(UUID(call))
    assert record.fault is None
    return record.call


class Broken(PostgresCallStore):
    """Fails where it is told to; with ``holds`` it waits there for ever instead."""

    def __init__(self, database: Any, step: str, *, holds: bool = False) -> None:
        super().__init__(database)
        self._step = step
        self._holds = holds

    async def _fail(self, step: str) -> None:
        if step == self._step:
            if self._holds:
                await asyncio.Event().wait()
            raise StoreError("the database is away")

    async def open(self, *arguments: Any) -> Any:
        await self._fail("open")
        return await super().open(*arguments)

    async def spend_token(self, *arguments: Any) -> Any:
        await self._fail("spend_token")
        return await super().spend_token(*arguments)

    async def register_right(
        self, call: OpenedCall, exercise: Exercise, journal: Any, *, opens: bool = False
    ) -> str:
        await self._fail("register_right")
        return await super().register_right(call, exercise, journal, opens=opens)

    async def past_of(self, call: OpenedCall) -> Past:
        await self._fail("past_of")
        return await super().past_of(call)

    async def close(self, *arguments: Any) -> None:
        await self._fail("close")
        await super().close(*arguments)

    async def close_abandoned(self, *arguments: Any, **options: Any) -> int:
        await self._fail("close_abandoned")
        return await super().close_abandoned(*arguments, **options)


def with_store(desk: Desk, store: CallStore) -> Desk:
    return Desk(desk.asterisk, store, desk.secrets, desk.book, desk.prompts)


async def menu(port: int, keys: dict[str, list[str]], campaign: str = "renewals", **values: str) -> Caller:
    """A visit to the keys menu; a parameter in capitals is a variable of the channel."""
    async with caller(port) as asterisk:
        asterisk.variables |= {name: value for name, value in values.items() if name.isupper()}
        asterisk.enter(
            "rights", campaign, **{name: value for name, value in values.items() if name.islower()}
        )
        await asterisk.obey(keys)
    return asterisk
