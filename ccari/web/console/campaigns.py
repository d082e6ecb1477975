"""Pages for campaigns, the revisions of the policy, what each revision changed, and the documents that it amounts to: records of processing, information for people."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import Field

from ccari.office.informing import layout
from ccari.office.informing.text import text
from ccari.office.naming import the_controller
from ccari.office.processing.page import page
from ccari.office.processing.record import Source
from ccari.policy.declared import Identifier
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage
from ccari.web import campaigns as api
from ccari.web.console.comparing import Matcher
from ccari.web.console.pages import Answer, Shown, Visit, of_a_page
from ccari.web.downloads import as_attachment
from ccari.web.models.base import Given
from ccari.web.models.campaigns import (
    CampaignList,
    CampaignsQuery,
    RevisionPath,
    RevisionShown,
    RevisionsQuery,
)
from ccari.web.problems import ALWAYS, Refusal

#: How many unchanged lines are shown before and after a change.
_CONTEXT = 3


class RevisionQuery(Given):
    against: Annotated[int | None, Field(ge=1, lt=2**31)] = None


class RecordQuery(Given):
    """``controller``: whose record; none: that of the centre, as the processor of all of them."""

    controller: Identifier | None = None


class InformationQuery(Given):
    controller: Identifier
    language: AnswerLanguage


@dataclass(frozen=True, slots=True)
class DiffLine:
    """``sign``: ``+``, ``-`` or a space; ``…`` where unchanged lines are left out. ``old``, ``new``: line numbers."""

    sign: str
    old: int | None
    new: int | None
    text: str


async def register(visit: Visit) -> Answer:
    """The campaigns in force, and every revision."""
    query = of_a_page(visit.ask.query or RevisionsQuery())
    revisions = (await api.list_revisions(visit.asking(query=query))).content
    declared: CampaignList | None = None
    if await visit.ask.policy() is not None:
        declared = (await api.list_campaigns(visit.asking(query=CampaignsQuery()))).content
    fields = {
        "declared": declared,
        "revisions": revisions,
        "query": query,
        "in_force": visit.ask.front.book.revision,
    }
    return Shown("campaigns.html.j2", fields)


async def revision(visit: Visit) -> Answer:
    """One revision, and how it differs from the one before it, or from another one."""
    path: RevisionPath = visit.ask.path
    query: RevisionQuery = visit.ask.query or RevisionQuery()
    shown = await _revision(visit, path.number)
    revisions = await visit.ask.front.policies.revisions()
    others: list[int] = [each["revision"] for each in revisions if each["revision"] != path.number]
    before = query.against or max((each for each in others if each < path.number), default=None)
    other, unread = None, None
    try:
        other = await _revision(visit, before) if before is not None else None
    except Refusal as refusal:
        if refusal.status != HTTPStatus.CONFLICT:
            raise
        unread = before
    old = _text(other) if other else []
    if unread is None:
        lines = await asyncio.to_thread(lambda: list(_differences(old, _text(shown))))
    else:
        lines = [DiffLine(" ", None, at, line) for at, line in enumerate(_text(shown), 1)]
    fields = {
        "revision": shown,
        "other": other,
        "unread": unread,
        "others": others,
        "lines": lines,
        "answer_languages": ANSWER_LANGUAGES,
    }
    return Shown("revision.html.j2", fields)


async def record(visit: Visit) -> Answer:
    """The record of processing activities (Art 30) of a revision, as a file. Who does not see all controllers gets only one controller's."""
    path: RevisionPath = visit.ask.path
    query: RecordQuery = visit.ask.query
    applied, policy = await api.seen_revision(visit.ask, path.number)
    of_centre = query.controller is None and visit.ask.bearer.controllers is None
    controller = None if of_centre else the_controller(policy, query.controller)
    source = Source(applied, policy, visit.ask.front.installed, datetime.now(UTC))
    name = f"record-{applied.number}-{'processor' if controller is None else controller.id}.html"
    return _as_file(await asyncio.to_thread(page, source, controller), name)


async def information(visit: Visit) -> Answer:
    """What a controller must tell people (Art 13 and 14) under a revision, as a file."""
    path: RevisionPath = visit.ask.path
    query: InformationQuery = visit.ask.query
    applied, policy = await api.seen_revision(visit.ask, path.number)
    controller = the_controller(policy, query.controller)
    source = Source(applied, policy, visit.ask.front.installed, datetime.now(UTC))
    told = await asyncio.to_thread(text, source, controller, query.language)
    return _as_file(layout.page(told), f"information-{applied.number}-{controller.id}-{query.language}.html")


def _as_file(html: bytes, name: str) -> web.Response:
    """A page with a style sheet of its own, which the console's pages may not have."""
    headers = {**ALWAYS, **as_attachment(name)}
    return web.Response(body=html, content_type="text/html", charset="utf-8", headers=headers)


async def _revision(visit: Visit, number: int) -> RevisionShown:
    return (await api.show_revision(visit.asking(path=RevisionPath(number=number)))).content


def _text(shown: RevisionShown) -> list[str]:
    """The lines of the policy file; for a bearer who may not see all of it, the lines of the part that they may see, as JSON."""
    if shown.document is not None:
        return shown.document.splitlines()
    seen = {"accesses_days", "controllers", "registers", "campaigns"}
    part = shown.model_dump(mode="json", include=seen, exclude_none=True)
    return json.dumps(part, indent=2, ensure_ascii=False).splitlines()


def _differences(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    matcher = Matcher(old, new)
    for count, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if count or group[0][1] or group[0][3]:
            yield DiffLine("…", None, None, "")
        for tag, i, j, k, m in group:
            if tag == "equal":
                yield from (DiffLine(" ", i + n + 1, k + n + 1, line) for n, line in enumerate(old[i:j]))
                continue
            yield from (DiffLine("-", i + n + 1, None, line) for n, line in enumerate(old[i:j]))
            yield from (DiffLine("+", None, k + n + 1, line) for n, line in enumerate(new[k:m]))
