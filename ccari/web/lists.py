"""Long lists over HTTP: imports are read as they arrive, exports are sent as they are read from the database."""

import io
import json
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from ccari.office.naming import the_campaign, the_controller
from ccari.ports.accesses import Looked
from ccari.ports.lists import BarsGiven, ContactsGiven, ListWork, Report, Source, by_reason
from ccari.ports.requests import RequestRegister
from ccari.web.downloads import pieces_held, sent
from ccari.web.front import Ask, ListsOf, NumberPorts, Ports, Reply
from ccari.web.models.consents import ConsentsImportQuery
from ccari.web.models.contacts import ContactsImportQuery, ScrubQuery
from ccari.web.models.lists import ListReport, OfController
from ccari.web.models.requests import RegisterQuery
from ccari.web.models.suppressions import BarsImportQuery
from ccari.web.problems import Refusal
from ccari.web.uploads import CSV, Upload

#: The result of scrubbing is held in memory until the last line is judged, because a client need not read while it sends.
SCRUB_BYTES = 32 * 1024 * 1024
#: The header that says how many rows were left out, and why.
REPORT = "ccari-report"
_BUFFER_BYTES = 256 * 1024


class ListPorts(NumberPorts, Protocol):
    @property
    def lists(self) -> ListsOf: ...


class RequestExportPorts(ListPorts, Protocol):
    @property
    def requests(self) -> RequestRegister: ...


async def import_bars(ask: Ask[ListPorts]) -> Reply[ListReport]:
    """Bar the numbers of a list, or of an export. A CSV's columns take precedence over the parameters. If a line is invalid,
    nothing is entered, unless keep_going.
    """
    return await bar(ask, _body(ask))


async def bar(ask: Ask[ListPorts], source: Source) -> Reply[ListReport]:
    """Like :func:`import_bars`, for a list from any source."""
    query: BarsImportQuery = ask.query
    given = BarsGiven(query.controller, query.campaign, query.reason, query.proof or "", query.until)
    report = await (await _lists(ask)).bar(source, given, ask.who, keep_going=query.keep_going)
    await ask.note(Looked.LIST_IMPORTED, report.access_target("bars"))
    return _reported(report)


async def import_contacts(ask: Ask[ListPorts]) -> Reply[ListReport]:
    """Enter numbers with their sources. Numbers that were erased, or that may not be used, are left out and counted."""
    query: ContactsImportQuery = ask.query
    given = ContactsGiven(
        query.controller, query.campaign, query.source, query.obtained, query.basis, query.proof or "", query.valid_until
    )  # fmt: skip
    done = await (await _lists(ask)).contact(_body(ask), given, ask.who, keep_going=query.keep_going)
    barred = by_reason(done.barred)
    await ask.note(Looked.LIST_IMPORTED, done.report.access_target("contacts", barred))
    return _reported(done.report, barred=barred)


async def import_consents(ask: Ask[ListPorts]) -> Reply[ListReport]:
    """Enter consents with the proof of each (Art 7(1)). A list never undoes a withdrawal. Erased numbers are left out and
    counted.
    """
    query: ConsentsImportQuery = ask.query
    done, unasked = await (await _lists(ask)).consent(
        _body(ask), query.controller, ask.who, keep_going=query.keep_going
    )
    barred = by_reason(done.barred)
    await ask.note(Looked.LIST_IMPORTED, done.report.access_target("consents", barred))
    return _reported(done.report, barred=barred, unasked=unasked)


async def scrub(ask: Ask[ListPorts]) -> web.StreamResponse:
    """The rows whose number the campaign may call, unchanged. The header Ccari-Report says how many were left out, and why."""
    query: ScrubQuery = ask.query
    lists, policy = await _lists(ask), await ask.policy_in_force()
    declared = the_campaign(policy, query.campaign)
    rest = io.BytesIO()
    left = await lists.scrub(_body(ask, SCRUB_BYTES), declared.id, rest.write)
    scrubbed = {"controller": declared.controller, "campaign": declared.id, "lines": str(left.lines)}
    await ask.note(Looked.LIST_SCRUBBED, scrubbed)
    counts = {name: value for name, value in left.as_dict().items() if name != "faults"}
    # a column's name may have letters that no header has
    headers = {REPORT: json.dumps(counts, separators=(",", ":")), "content-length": str(rest.tell())}
    # within its turn, as each of these is held in memory until it is read
    return await sent(ask, f"{CSV}; charset=utf-8", "scrubbed.csv", pieces_held(rest), headers)


async def export_bars(ask: Ask[ListPorts]) -> web.StreamResponse:
    """A controller's bars as CSV, with digests, because numbers are not stored. They can be imported where the same keys are."""
    query: OfController = ask.query
    lists = await _lists(ask)
    controller = the_controller(await ask.policy_in_force(), query.controller).id
    await ask.note(Looked.BARS_EXPORTED, {"controller": controller})
    name = f"suppressions-{controller}.csv"
    return await sent(ask, f"{CSV}; charset=utf-8", name, lists.bars_csv(controller))


async def export_requests_csv(ask: Ask[RequestExportPorts]) -> web.StreamResponse:
    """The register of rights as CSV, in the order of receipt. Numbers are masked."""
    return await _register(ask, "csv", f"{CSV}; charset=utf-8")


async def export_requests_json(ask: Ask[RequestExportPorts]) -> web.StreamResponse:
    """The register of rights as one JSON array, each request with its history. Numbers are masked."""
    return await _register(ask, "json", "application/json")


async def _register(ask: Ask[RequestExportPorts], form: str, kind: str) -> web.StreamResponse:
    query: RegisterQuery = ask.query
    lists, controller = await _lists(ask), None
    if query.controller is not None or ask.bearer.controllers is not None:
        controller = the_controller(await ask.policy_in_force(), query.controller).id
    exported = {
        "controller": controller or "all",
        "since": query.since.isoformat() if query.since else "ever",
    }
    await ask.note(Looked.REQUESTS_EXPORTED, exported)
    rows = ask.front.requests.export(controller, query.since)
    return await sent(ask, kind, f"requests-{controller or 'all'}.{form}", lists.register(rows, form))


async def _lists(ask: Ask[ListPorts]) -> ListWork:
    return ask.front.lists(await ask.policy_in_force(), await ask.front.vouched())


def _body(ask: Ask[Ports], most_bytes: int | None = None) -> io.BufferedReader:
    upload = Upload.of(ask.request) if most_bytes is None else Upload.of(ask.request, most_bytes)
    return io.BufferedReader(upload, _BUFFER_BYTES)


def _reported(
    report: Report, *, barred: dict[str, int] | None = None, unasked: list[str] | None = None
) -> Reply[ListReport]:
    """The report of an import. Raises Refusal (422), with the report, if its faults kept the list out."""
    shown = ListReport.model_validate({**report.as_dict(barred), "unasked": unasked}, from_attributes=True)
    if not report.taken:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"nothing was changed, as lines are invalid ({shown.invalid} of {shown.lines}): correct the list, or "
            "import the rest with keep_going",
            report=shown,
        )  # fmt: skip
    return Reply(shown)
