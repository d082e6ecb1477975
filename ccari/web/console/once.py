"""A form that is sent twice, as by a double click, is done once, and answered twice."""

import hmac
from http import HTTPStatus

import orjson
from aiohttp import web

from ccari.web.console.forms import TOO_OLD
from ccari.web.console.pages import Handler, Moved, Visit
from ccari.web.problems import Refusal
from ccari.web.repeats import Repeat

#: The field by which a form is known again; each page that is loaded has its own.
ONCE = "once"


async def once(visit: Visit, handler: Handler) -> Moved:
    """Where ``handler`` moves to; what it raises may be tried again. Refusal (400) if the form is not known."""
    known = visit.form.get(ONCE, "")
    if not known:
        raise Refusal(HTTPStatus.BAD_REQUEST, TOO_OLD)

    async def work() -> web.Response:
        done = await handler(visit)
        if not isinstance(done, Moved):
            raise TypeError("only what was done is answered a second time")
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": done.to}, text=done.said)

    # what is filled in otherwise, after going back, is another form
    filled = hmac.new(known.encode(), orjson.dumps(sorted(visit.form.items())), "sha256").hexdigest()
    request = visit.ask.request
    repeat = Repeat(visit.ask.front.repeats, filled, visit.ask.bearer.name, request.path, b"")
    # the second waits for the first, whose answer the browser no longer shows
    async with visit.session.entering:
        answer = await repeat.once(work)
    said = answer.text if isinstance(answer, web.Response) else None
    return Moved(answer.headers["location"], said or "")
