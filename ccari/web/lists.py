"""Long lists over HTTP: taken in as they arrive, and given out as they are read."""

import io
from http import HTTPStatus

import orjson
from aiohttp import web

from ccari.gating.naming import the_campaign, the_controller
from ccari.ports.accesses import Looked
from ccari.ports.lists import BarsGiven, ContactsGiven, ListWork, Report, Source, by_reason
from ccari.web.downloads import named, sent
from ccari.web.front import Ask, Reply
from ccari.web.models.consents import ConsentsImportQuery
from ccari.web.models.contacts import ContactsImportQuery, ScrubQuery
from ccari.web.models.lists import ListReport, OfController
from ccari.web.models.requests import RegisterQuery
from ccari.web.models.suppressions import BarsImportQuery
from ccari.web.problems import Refusal
from ccari.web.uploads import CSV, Upload

#: A list that is scrubbed is held until its last line is judged: who sends need not read meanwhile.
SCRUB_BYTES = 32 * 1024 * 1024
#: Beside the rows that are left: how many are not, and why.
REPORT = "ccari-report"
_BUFFER_BYTES = 256 * 1024


async def import_bars(ask: Ask) -> Reply:
    """Bar the numbers of a list, or of an export; a CSV's columns go before the parameters. With a bad line nothing is."""
    return await bar(ask, _body(ask))


async def bar(ask: Ask, source: Source) -> Reply:
    """As :func:`import_bars`, of a list from wherever it comes."""
    query: BarsImportQuery = ask.query
    given = BarsGiven(query.controller, query.campaign, query.reason, query.proof or "", query.until)
    report = await (await _lists(ask)).bar(source, given, ask.who, keep_going=query.keep_going)
    await ask.note(Looked.LIST_IMPORTED, report.noted("bars"))
    return _told(report)


async def import_contacts(ask: Ask) -> Reply:
    """Take in numbers with where they come from; what was erased or may not be used is left out, and counted."""
    query: ContactsImportQuery = ask.query
    given = ContactsGiven(
        query.controller, query.campaign, query.source, query.obtained, query.basis, query.proof or "", query.valid_until
    )  # fmt: skip
    done = await (await _lists(ask)).contact(_body(ask), given, ask.who, keep_going=query.keep_going)
    barred = by_reason(done.barred)
    await ask.note(Looked.LIST_IMPORTED, done.report.noted("contacts", barred))
    return _told(done.report, barred=barred)


async def import_consents(ask: Ask) -> Reply:
    """Take in consents with the proof of each (Art 7(1)). No list undoes a withdrawal; what was erased is left out, and counted."""
    query: ConsentsImportQuery = ask.query
    done, unasked = await (await _lists(ask)).consent(
        _body(ask), query.controller, ask.who, keep_going=query.keep_going
    )
    barred = by_reason(done.barred)
    await ask.note(Looked.LIST_IMPORTED, done.report.noted("consents", barred))
    return _told(done.report, barred=barred, unasked=unasked)


async def scrub(ask: Ask) -> web.StreamResponse:
    """The rows whose number the campaign may call, unchanged; the header Ccari-Report says how many were left out and why."""
    query: ScrubQuery = ask.query
    lists, policy = await _lists(ask), await ask.policy_in_force()
    declared = the_campaign(policy, query.campaign)
    rest = io.BytesIO()
    left = await lists.scrub(_body(ask, SCRUB_BYTES), declared.id, rest.write)
    counted = {"controller": declared.controller, "campaign": declared.id, "lines": str(left.lines)}
    await ask.note(Looked.LIST_SCRUBBED, counted)
    told = {name: value for name, value in left.told().items() if name != "faults"}
    headers = {**named("scrubbed.csv"), REPORT: orjson.dumps(told).decode()}
    return web.Response(body=rest.getvalue(), content_type=CSV, headers=headers)


async def export_bars(ask: Ask) -> web.StreamResponse:
    """A controller's bars as CSV, for an import beside the same keys; digests, for no number is kept."""
    query: OfController = ask.query
    lists, whose = await _lists(ask), the_controller(await ask.policy_in_force(), query.controller)
    await ask.note(Looked.BARS_EXPORTED, {"controller": whose.id})
    return await sent(ask, f"{CSV}; charset=utf-8", f"suppressions-{whose.id}.csv", lists.bars_csv(whose.id))


async def export_requests_csv(ask: Ask) -> web.StreamResponse:
    """The register of rights as CSV, the first received at the top. Numbers are masked."""
    return await _register(ask, "csv", f"{CSV}; charset=utf-8")


async def export_requests_json(ask: Ask) -> web.StreamResponse:
    """The register of rights as one JSON array, each request with its history. Numbers are masked."""
    return await _register(ask, "json", "application/json")


async def _register(ask: Ask, form: str, kind: str) -> web.StreamResponse:
    query: RegisterQuery = ask.query
    lists, whose = await _lists(ask), None
    if query.controller is not None or ask.bearer.controllers is not None:
        whose = the_controller(await ask.policy_in_force(), query.controller).id
    told = {"controller": whose or "all", "since": query.since.isoformat() if query.since else "ever"}
    await ask.note(Looked.REQUESTS_EXPORTED, told)
    rows = ask.front.requests.export(whose, query.since)
    return await sent(ask, kind, f"requests-{whose or 'all'}.{form}", lists.register(rows, form))


async def _lists(ask: Ask) -> ListWork:
    return ask.front.lists(await ask.policy_in_force(), await ask.front.vouched())


def _body(ask: Ask, most_bytes: int | None = None) -> io.BufferedReader:
    upload = Upload.of(ask.request) if most_bytes is None else Upload.of(ask.request, most_bytes)
    return io.BufferedReader(upload, _BUFFER_BYTES)


def _told(report: Report, *, barred: dict[str, int] | None = None, unasked: list[str] | None = None) -> Reply:
    told = ListReport.model_validate({**report.told(barred), "unasked": unasked}, from_attributes=True)
    if not report.taken:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"nothing was changed: {told.invalid} of {told.lines} lines are invalid: mend the list, or take the rest with "
            "keep_going",
            report=told,
        )  # fmt: skip
    return Reply(told)
