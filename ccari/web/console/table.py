"""The table of all pages, with the roles that may see each."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import hdrs, web
from pydantic import BaseModel

from ccari.ports.access import READING, SUPERVISING, Role
from ccari.web.console import (
    calls,
    campaigns,
    importing,
    overview,
    recordings,
    requests,
    signing_in,
    subjects,
    suppressions,
)
from ccari.web.console.live import HoldQuery, LivePages, RightBody, voice
from ccari.web.console.pages import Handler, Page
from ccari.web.console.rendering import asset
from ccari.web.console.sessions import PATH, Sessions
from ccari.web.console.signing_in import Entrance
from ccari.web.console.window import SIGN_IN, House, Window, redirect
from ccari.web.endpoint import Shared
from ccari.web.events import Streams
from ccari.web.models.calls import CallPath, CallsQuery
from ccari.web.models.campaigns import RevisionPath, RevisionsQuery
from ccari.web.models.recordings import HoldPath, RecordingPath, ReleaseBody
from ccari.web.models.requests import ClaimBody, FindBody, ReasonBody, RequestPath, RequestsQuery
from ccari.web.models.suppressions import BarringBody, CheckBody, LiftingBody, SuppressionsQuery
from ccari.web.rates import LookUp
from ccari.web.requests import STEPS

_DIALER, _AGENT, _OPS, _DPO, _ = Role
_ANYBODY = frozenset(Role)
_OFFICER = frozenset({_DPO})
_AGENTS = frozenset({_AGENT})
_ENTERING = frozenset({_OPS, _DPO})


def pages(entrance: Entrance, live: LivePages) -> Sequence[Page]:
    return [
        Page("GET", PATH, _ANYBODY, signing_in.first_page),
        Page("POST", f"{PATH}/sign-out", _ANYBODY, entrance.sign_out),
        Page("GET", f"{PATH}/requests", SUPERVISING, requests.register, query=RequestsQuery, again=requests.register),
        Page("GET", f"{PATH}/requests/find", _OFFICER, requests.find_form),
        Page(
            "POST", f"{PATH}/requests/find", _OFFICER, requests.find, form=FindBody, again=requests.find_form, looks_up=LookUp.CHECK,
        ),
        Page("GET", f"{PATH}/requests/new", _OFFICER, requests.blank),
        Page("POST", f"{PATH}/requests/new", _OFFICER, requests.enter, form=ClaimBody, again=requests.blank, once=True),
        Page("GET", f"{PATH}/requests/{{reference}}", SUPERVISING, requests.one, in_path=RequestPath),
        *(_on_request(name, requests.step(take), form) for name, (take, form) in STEPS.items()),
        _on_request("number", requests.number, ReasonBody),
        Page(
            "GET", f"{PATH}/requests/{{reference}}/letters/{{outcome}}", _OFFICER, requests.letter,
            in_path=requests.LetterPath, query=requests.LetterQuery,
        ),
        Page("GET", f"{PATH}/requests/{{reference}}/evidence", SUPERVISING, requests.evidence, in_path=RequestPath, long=True),
        Page("GET", f"{PATH}/requests/{{reference}}/subject", _OFFICER, subjects.one, in_path=RequestPath),
        Page(
            "POST", f"{PATH}/requests/{{reference}}/subject", _OFFICER, subjects.look, in_path=RequestPath,
            form=subjects.NumberForm, again=subjects.one,
        ),
        Page(
            "POST", f"{PATH}/requests/{{reference}}/subject/export", _OFFICER, subjects.export, in_path=RequestPath,
            form=subjects.ExportForm, again=subjects.one, long=True,
        ),
        Page("GET", f"{PATH}/subjects", _OFFICER, subjects.find_form),
        Page(
            "POST", f"{PATH}/subjects", _OFFICER, subjects.find, form=FindBody, again=subjects.find_form, looks_up=LookUp.CHECK,
        ),
        Page("GET", f"{PATH}/calls/{{id}}/evidence", SUPERVISING, calls.evidence, in_path=CallPath, long=True),
        Page("GET", f"{PATH}/overview", READING, overview.overview, query=overview.OverviewQuery, again=overview.overview),
        Page("GET", f"{PATH}/live", READING, live.calls, query=HoldQuery),
        Page("GET", f"{PATH}/live/events", READING, live.call_events, lasts=True),
        Page("GET", f"{PATH}/agent", _AGENTS, live.agent, query=HoldQuery),
        Page("GET", f"{PATH}/agent/events", _AGENTS, live.agent_events, lasts=True),
        Page("POST", f"{PATH}/agent/{{id}}/right", _AGENTS, voice, in_path=CallPath, form=RightBody, again=live.agent),
        Page("GET", f"{PATH}/calls", READING, calls.register, query=CallsQuery, again=calls.register),
        Page("GET", f"{PATH}/calls/find", _OFFICER, calls.find_form),
        Page(
            "POST", f"{PATH}/calls/find", _OFFICER, calls.find, form=FindBody, again=calls.find_form, looks_up=LookUp.CHECK,
        ),
        Page("GET", f"{PATH}/calls/{{id}}", READING, calls.one, in_path=CallPath),
        Page("GET", f"{PATH}/recordings", READING, recordings.register, query=recordings.RegisterQuery, again=recordings.register),
        Page("GET", f"{PATH}/recordings/{{id}}", READING, recordings.one, in_path=RecordingPath),
        Page(
            "POST", f"{PATH}/recordings/{{id}}/play", _OFFICER, recordings.play, in_path=RecordingPath, again=recordings.one,
            file_bytes=recordings.IDENTITY_BYTES, long=True,
        ),
        Page(
            "POST", f"{PATH}/recordings/{{id}}/hold", _OFFICER, recordings.hold, in_path=RecordingPath, form=ReasonBody,
            again=recordings.one, once=True,
        ),
        Page(
            "POST", f"{PATH}/holds/{{number}}/release", _OFFICER, recordings.release, in_path=HoldPath, form=ReleaseBody,
            again=recordings.register, ids="release-", once=True,
        ),
        Page("GET", f"{PATH}/suppressions", READING, suppressions.register, query=SuppressionsQuery),
        Page(
            "POST", f"{PATH}/suppressions/check", READING, suppressions.look_up, form=CheckBody,
            again=suppressions.register, looks_up=LookUp.CHECK,
        ),
        Page("GET", f"{PATH}/suppressions/import", _ENTERING, importing.blank),
        Page(
            "POST", f"{PATH}/suppressions/import", _ENTERING, importing.take, again=importing.blank, takes_list=True,
        ),
        Page("GET", f"{PATH}/campaigns", READING, campaigns.register, query=RevisionsQuery),
        Page(
            "GET", f"{PATH}/campaigns/{{number}}", READING, campaigns.revision, in_path=RevisionPath,
            query=campaigns.RevisionQuery,
        ),
        Page(
            "GET", f"{PATH}/campaigns/{{number}}/record", READING, campaigns.record, in_path=RevisionPath,
            query=campaigns.RecordQuery,
        ),
        Page(
            "GET", f"{PATH}/campaigns/{{number}}/information", READING, campaigns.information, in_path=RevisionPath,
            query=campaigns.InformationQuery,
        ),
        Page(
            "POST", f"{PATH}/suppressions/add", _ENTERING, suppressions.add, form=BarringBody,
            again=suppressions.register, ids="add-", looks_up=LookUp.CHECK, once=True,
        ),
        Page(
            "POST", f"{PATH}/suppressions/lift", _OFFICER, suppressions.lift, form=LiftingBody,
            again=suppressions.register, ids="lift-", looks_up=LookUp.CHECK, once=True,
        ),
    ]  # fmt: skip


def _on_request(name: str, handler: Handler, form: type[BaseModel] | None) -> Page:
    return Page(
        "POST", f"{PATH}/requests/{{reference}}/{name}", _OFFICER, handler, in_path=RequestPath, form=form,
        again=requests.one, ids=f"{name}-", once=handler is not requests.number,
    )  # fmt: skip


def _back(path: str, shown: set[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for GET requests to a form's address: it redirects to the page with the form. Browsers send such requests when somebody
    reloads the answer, or changes the language there.
    """
    where = f"{PATH}/recordings" if path.startswith(f"{PATH}/holds/") else path
    steps = 0
    while where not in shown:
        where, steps = where.rpartition("/")[0], steps + 1

    async def back(request: web.Request) -> web.Response:
        # the raw path, to keep its percent-encoding
        return redirect(request.rel_url.raw_path.rsplit("/", steps)[0] if steps else where)

    return back


async def to_console(_: web.Request) -> web.Response:
    return redirect(PATH)


def add_console(app: web.Application, shared: Shared, streams: Streams) -> None:
    """Add everything below ``/console``, and the way there from ``/``. ``streams``: shared with the API."""
    house = House(shared, Sessions())
    entrance = Entrance(house)
    app.router.add_get(f"{PATH}/static/{{name}}", asset)
    app.router.add_get(f"{PATH}/language/{{code}}", signing_in.language)
    app.router.add_get(SIGN_IN, entrance.form)
    app.router.add_post(SIGN_IN, entrance.sign_in)
    table = pages(entrance, LivePages(streams))
    for page in table:
        app.router.add_route(page.method, page.path, Window(page, house).answer)
    shown = {page.path for page in table if page.method == hdrs.METH_GET}
    for page in table:
        if page.path not in shown:
            app.router.add_route(hdrs.METH_GET, page.path, _back(page.path, shown))
    # what people type
    for typed in ("/", f"{PATH}/"):
        app.router.add_get(typed, to_console)
    app.router.add_route("*", f"{PATH}/{{tail:.*}}", entrance.not_found)
