"""Evidence of one call or one request, for somebody who has no access here."""

import asyncio

from aiohttp import web

from ccari.ports.accesses import Looked
from ccari.web.downloads import named
from ccari.web.front import Ask
from ccari.web.models.calls import CallPath
from ccari.web.models.subjects import RequestEvidencePath

ZIP = "application/zip"


async def of_call(ask: Ask) -> web.StreamResponse:
    """A ZIP that proves one call: a signed vCon with its lawful bases, journal, notice, seals, and the policy for who may see
    all controllers. Numbers are masked.
    """
    path: CallPath = ask.path
    return await _pack(ask, str(path.id))


async def of_request(ask: Ask) -> web.StreamResponse:
    """A ZIP that proves one request: a signed vCon with its journal, bars, seals. Numbers are masked."""
    path: RequestEvidencePath = ask.path
    return await _pack(ask, path.reference.upper())


async def _pack(ask: Ask, which: str) -> web.Response:
    proving = ask.front.evidence
    account = await proving.sealed(which, ask.bearer.sees)
    await ask.note(Looked.EVIDENCE_EXPORTED, {"of": account.id})
    # as among the revisions, the file is nothing for who may know of some controllers only
    whole = ask.bearer.controllers is None
    made, _ = await asyncio.to_thread(proving.pack, account, with_policy=whole)
    return web.Response(body=made, content_type=ZIP, headers=named(f"evidence-{which}.zip"))
