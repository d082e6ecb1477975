"""A client of the API, and what it is served from."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from ccari.calls.board import Board
from ccari.calls.cards import Rack
from ccari.errors import SoundError
from ccari.keyring.journal_key import JournalKey
from ccari.keyring.secrets import SecretStore
from ccari.lists.importing import Lists
from ccari.office.processing.record import Installed, Measure
from ccari.policy.campaign import Campaign
from ccari.policy.deadlines import local_day
from ccari.policy.parties import Controller
from ccari.ports.access import Bearer, Role, fingerprint
from ccari.ports.sounds import Script, Sound
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.listening import Listener
from ccari.recordings.shelf import Shelf
from ccari.recordings.subject.giving import SubjectDesk
from ccari.store.local_journal import LocalJournalFiles
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.queries import SQL
from ccari.web.access import Doorkeeper
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.rates import Rates
from ccari.web.server import application, serve_http
from tests.unit.store.forging import apply_unread
from tests.unit.store.made import OTHER, POLICY, new_secret

SECONDS = 30.0
NUMBER, AS_WRITTEN = "+48600100001", "600 100 001"
#: Of two controllers.
TWO = POLICY + OTHER


def reference_of_this_year(serial: int) -> str:
    """The reference of the ``serial``-th request to acme in the current year."""
    return f"ACME-{local_day(datetime.now(UTC), 'PL').year}-{serial:06}"


class Silent:
    """Prompts that are all there, or of which one is ``missing``."""

    missing = False

    async def scripts(
        self, controller: Controller, campaign: Campaign, *, lately: bool = False, heard: bool = False
    ) -> Mapping[str, Script]:
        if self.missing:
            raise SoundError("pl/rights: no such sound")
        return {}

    async def keep(self, campaign: Campaign) -> None:
        pass

    async def replaced(self, played: Iterable[Sound]) -> list[Sound]:
        return []

    async def common(self, prompt: str, language: str) -> Sound:
        raise NotImplementedError

    async def source(self, words: str, language: str) -> Sound:
        raise NotImplementedError


async def front_over(store: Store, folder: Path, policy: str = TWO) -> Front:
    # as an older ccari has applied it, and made the tokens: not on record, where tests count what is
    await apply_unread(store, policy)
    kept = SecretStore(folder / "keys")
    for controller in ("acme", "other"):
        new_secret(kept, controller)
    return Front(
        bearers=store.tokens, book=Book(store.policies), facts=store.calls, records=store.records,
        suppressions=store.suppressions, registers=store.registers, contacts=store.contacts, consents=store.consents,
        lists=lambda told, vouched: Lists(told, vouched, store.suppressions, store.contacts, store.consents),
        policies=store.policies, requests=store.requests,
        journal=store.calls, shelf=Shelf(store.records, store.deletions, store.recordings, folder / "recordings"),
        listening=Listener(store.recordings, folder / "recordings"), holds=store.holds,
        evidence=Prover(store.seals, SigningKeys(folder / "keys"), lambda _policy, _account: []), subjects=store.subjects,
        webhooks=store.webhooks, giving=SubjectDesk(
            store.subjects, store.registers, store.policies, store.erasures, store.deletions, folder / "recordings",
            folder / "exports", LocalJournalFiles(folder, JournalKey(folder / "keys").read).pressed_by,
        ),
        forwards=store.forwards, repeats=store.repeats,
        secrets=kept, vouched=partial(store.key_versions.keep_vouching, kept), prompts=Silent(), cards=Rack(), live=Board(),
        accesses=store.accesses, overview=store.overview, installed=Installed((Measure.DIGESTS,)), placing=None,
    )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)

    def problem(self, status: int) -> dict[str, Any]:
        """The problem document that it must be: with that status, and without a number or a traceback."""
        assert (self.status, self.headers["content-type"].partition(";")[0]) == (
            status,
            "application/problem+json",
        ), self
        told: dict[str, Any] = self.json
        assert told["status"] == status
        assert told["title"]
        assert told["detail"]
        assert "Traceback" not in self.text
        assert "60010000" not in self.text.replace(" ", "")
        return told


@dataclass
class Api:
    url: str
    session: aiohttp.ClientSession
    store: Store
    _made: set[str] = field(default_factory=set)

    async def token(
        self,
        role: Role,
        *,
        name: str | None = None,
        agent: str | None = None,
        controllers: set[str] | None = None,
    ) -> str:
        """A new token."""
        made = f"ccari_{secrets.token_urlsafe(32)}"
        whose = frozenset(controllers) if controllers is not None else None
        await self._add(
            made, Bearer(name or f"{role}-{secrets.token_hex(8)}", role, _agent(role, agent), whose)
        )
        return made

    async def of(self, role: Role) -> str:
        """A token of the role, for all controllers."""
        made = f"ccari_{role:-<43}"
        if made not in self._made:
            self._made.add(made)
            await self._add(made, Bearer(f"the-{role}", role, _agent(role)))
        return made

    async def _add(self, token: str, bearer: Bearer) -> None:
        whose = None if bearer.controllers is None else sorted(bearer.controllers)
        await self.store.database.rows(
            SQL["add_token"], bearer.name, bearer.role, bearer.agent, whose, fingerprint(token), "test", None
        )

    async def ask(
        self, method: str, path: str, body: Any = None, *, role: Role | None = Role.DPO, token: str | None = None,
        data: bytes | None = None, headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """One request; ``role`` None: without a token."""
        sent = dict(headers or {})
        if token is not None or role is not None:
            sent["authorization"] = f"Bearer {token or await self.of(role or Role.DPO)}"
        if body is not None:
            data = orjson.dumps(body)
        if data is not None:
            sent.setdefault("content-type", "application/json")
        async with self.session.request(method, self.url + path, data=data, headers=sent) as answer:
            # a ZIP is no text, and whoever reads one looks at its bytes
            return Answer(answer.status, answer.headers, await answer.text(errors="replace"))


def _agent(role: Role, name: str | None = None) -> str | None:
    return (name or "anna") if role is Role.AGENT else None


@contextlib.asynccontextmanager
async def serving(
    store: Store,
    front: Front,
    *,
    streams: Streams | None = None,
    doorkeeper: Doorkeeper | None = None,
    rates: Rates | None = None,
) -> AsyncIterator[Api]:
    app = application({}, front, streams=streams, doorkeeper=doorkeeper, rates=rates)
    async with listening(app) as url:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Api(url, session, store)


@contextlib.asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    async with serve_http("127.0.0.1:0", app) as port:
        yield f"http://127.0.0.1:{port}"


def routes_of(app: web.Application) -> Iterator[tuple[str, str]]:
    """Every method and path that the router answers."""
    for route in app.router.routes():
        if route.resource is not None:
            yield route.method, route.resource.canonical
