"""Pages to import a list of bars: the form with a file, and the report."""

import io
from functools import partial

from ccari.policy.suppression import Reason
from ccari.web import lists as api
from ccari.web import problems
from ccari.web.console.forms import filled, read_parts, read_piece
from ccari.web.console.pages import Answer, Shown, Visit
from ccari.web.models.lists import ListReport
from ccari.web.models.suppressions import BarsImportQuery
from ccari.web.problems import Fault, Refusal
from ccari.web.uploads import Upload

_BUFFER_BYTES = 256 * 1024


async def blank(visit: Visit) -> Answer:
    """The form."""
    return await _page(visit, None)


async def take(visit: Visit) -> Answer:
    """Bar the numbers of the list as it arrives. If a line is invalid nothing is entered, unless the form says to keep going."""
    form, file = await read_parts(visit.ask.request, visit.session)
    visit.form = form
    query = filled(BarsImportQuery, form)
    if file is None or not file.filename:
        raise problems.of_faults([Fault(detail="choose a file", pointer="#/file")])
    source = io.BufferedReader(Upload(partial(read_piece, file)), _BUFFER_BYTES)
    try:
        return await _page(visit, (await api.bar(visit.asking(query=query), source)).content)
    except Refusal as refusal:
        report = refusal.problem.report
        if report is None:
            raise
        return await _page(visit, report)


async def _page(visit: Visit, report: ListReport | None) -> Shown:
    policy = await visit.ask.policy_in_force()
    fields = {
        "report": report, "reasons": list(Reason), "controllers": policy.controllers, "campaigns": policy.campaigns,
    }  # fmt: skip
    return Shown("import.html.j2", fields)
