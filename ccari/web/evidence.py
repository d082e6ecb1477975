"""Evidence of one call or one request over HTTP, for somebody without access to ccari."""

import io
from functools import partial
from typing import Protocol

from aiohttp import web

from ccari.errors import RecordingDelayed
from ccari.own_threads import OwnThreads
from ccari.ports.accesses import Looked
from ccari.ports.evidence import Proving
from ccari.web.downloads import ZIP, pieces_held, sent
from ccari.web.front import Ask, Ports
from ccari.web.models.calls import CallPath
from ccari.web.models.requests import RequestPath

#: How long packing may take. It reads the sounds that were played, which may be on another machine; most packs take some milliseconds.
PACK_SECONDS = 60.0

_THREADS = OwnThreads("ccari-evidence", RecordingDelayed)


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
    packing = partial(proving.pack, account, with_policy=sees_all)
    pack, _ = await _THREADS.within(PACK_SECONDS, packing)
    # piece by piece, and so within its turn: packs that nobody reads must not fill the memory
    return await sent(ask, ZIP, f"evidence-{which}.zip", pieces_held(io.BytesIO(pack)))
