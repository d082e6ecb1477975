"""Evidence of one call or one request over HTTP, for somebody without access to ccari."""

import asyncio
import io
from typing import Protocol

from aiohttp import web

from ccari.ports.accesses import Looked
from ccari.ports.evidence import Proving
from ccari.web.downloads import ZIP, pieces_held, sent
from ccari.web.front import Ask, Ports
from ccari.web.models.calls import CallPath
from ccari.web.models.requests import RequestPath


class EvidencePorts(Ports, Protocol):
    @property
    def evidence(self) -> Proving: ...


async def of_call(ask: Ask[EvidencePorts]) -> web.StreamResponse:
    """A ZIP that proves one call: a signed vCon with its lawful bases, journal, notice and seals, and the policy if the token
    sees all controllers. Numbers are masked.
    """
    path: CallPath = ask.path
    return await _pack(ask, str(path.id))


async def of_request(ask: Ask[EvidencePorts]) -> web.StreamResponse:
    """A ZIP that proves one request: a signed vCon with its journal, bars and seals. Numbers are masked."""
    path: RequestPath = ask.path
    return await _pack(ask, path.reference.upper())


async def _pack(ask: Ask[EvidencePorts], which: str) -> web.StreamResponse:
    proving = ask.front.evidence
    account = await proving.sealed(which, ask.bearer.sees)
    await ask.note(Looked.EVIDENCE_EXPORTED, {"of": account.id})
    # the policy file names all controllers, so only a bearer who sees all of them gets it
    sees_all = ask.bearer.controllers is None
    pack, _ = await asyncio.to_thread(proving.pack, account, with_policy=sees_all)
    # piece by piece, and so within its turn: packs that nobody reads must not fill the memory
    return await sent(ask, ZIP, f"evidence-{which}.zip", pieces_held(io.BytesIO(pack)))
