"""A form that is sent twice, as by a double click, is done once, and answered twice."""

import hmac
from http import HTTPStatus
from time import time

import orjson
from aiohttp import web

from ccari.web.console.forms import TOO_OLD
from ccari.web.console.pages import Handler, Moved, Visit
from ccari.web.problems import Refusal
from ccari.web.repeats import Repeat

#: The field by which a form is known again; each page that is loaded has its own.
ONCE = "once"
#: Between what was done and a second click, whose page was slow to come. Later it may not be as it was answered any more: a bar
#: was lifted since, say, and who goes back and sends the form again is not to be told that it stands.
DOUBLE_CLICK_SECONDS = 10.0


async def once(visit: Visit, handler: Handler) -> Moved:
    """Where ``handler`` moves to; what it raises may be tried again. Refusal (400) if the form is not known, or was sent before
    and is no double click.
    """
    known = visit.form.get(ONCE, "")
    if not known:
        raise Refusal(HTTPStatus.BAD_REQUEST, TOO_OLD)

    async def work() -> web.Response:
        done = await handler(visit)
        if not isinstance(done, Moved):
            raise TypeError("only what was done is answered a second time")
        kept = orjson.dumps({"said": done.said, "at": time()})
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": done.to}, body=kept)

    # what is filled in otherwise, after going back, is another form
    filled = hmac.new(known.encode(), orjson.dumps(sorted(visit.form.items())), "sha256").hexdigest()
    request = visit.ask.request
    repeat = Repeat(visit.ask.front.repeats, filled, visit.ask.bearer.name, request.path, b"")
    # the second waits for the first, whose answer the browser no longer shows
    async with visit.session.entering:
        answer = await repeat.once(work)
    body = answer.body if isinstance(answer, web.Response) else None
    kept = orjson.loads(body) if isinstance(body, bytes) else {}
    if time() - kept.get("at", 0) > DOUBLE_CLICK_SECONDS:
        raise Refusal(HTTPStatus.BAD_REQUEST, TOO_OLD)
    return Moved(answer.headers["location"], kept["said"])
