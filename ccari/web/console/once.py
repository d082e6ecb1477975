"""Makes a form that is sent twice, as by a double click, take effect once; both get the answer."""

import hmac
from http import HTTPStatus
from time import time

import orjson
from aiohttp import web

from ccari.web.console.forms import TOO_OLD
from ccari.web.console.pages import Handler, Moved, Visit
from ccari.web.problems import Refusal
from ccari.web.repeats import Repeat

#: The field that identifies a form: each loaded page has a different value in it.
ONCE = "once"
#: How long after the first click a second one gets the same answer. Later the answer may be out of date: if a bar was lifted since,
#: somebody who goes back and sends the form again must not be told that the number is barred. But somebody whose connection broke, and who
#: loads the page again, must learn that their form was carried out, or they would send another.
DOUBLE_CLICK_SECONDS = 10.0


async def once(visit: Visit, handler: Handler) -> Moved:
    """Run ``handler`` once for a form, and return its redirect. If it raises, the form may be sent again.

    Raises Refusal: 400 if the form has no value in :data:`ONCE`, 409 if it was carried out before and this is not a double click.
    """
    form_id = visit.form.get(ONCE, "")
    if not form_id:
        raise Refusal(HTTPStatus.BAD_REQUEST, TOO_OLD)

    async def work() -> web.Response:
        done = await handler(visit)
        if not isinstance(done, Moved):
            raise TypeError("only a redirect can be answered a second time")
        kept = orjson.dumps({"said": done.said, "entered": done.entered, "at": time()})
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"location": done.to}, body=kept)

    # if somebody goes back and changes the fields, it is a different form
    filled = hmac.new(form_id.encode(), orjson.dumps(sorted(visit.form.items())), "sha256").hexdigest()
    request = visit.ask.request
    repeat = Repeat(visit.ask.front.repeats, filled, visit.ask.bearer.name, request.path, b"")
    # the second waits for the first: the browser shows only the second one's answer
    async with visit.session.entering:
        answer = await repeat.once(work)
    body = answer.body if isinstance(answer, web.Response) else None
    kept = orjson.loads(body) if isinstance(body, bytes) else {}
    if not kept:
        raise Refusal(HTTPStatus.BAD_REQUEST, TOO_OLD)
    if time() - kept["at"] > DOUBLE_CLICK_SECONDS:
        raise _carried_out(kept["entered"])
    return Moved(answer.headers["location"], kept["said"])


def _carried_out(reference: str) -> Refusal:
    if reference:
        return Refusal(
            HTTPStatus.CONFLICT, f"{reference} was entered with this form before: nothing was done now"
        )
    words = (
        "this form was carried out when it was first sent: nothing was done now, so see first what came of it"
    )
    return Refusal(HTTPStatus.CONFLICT, words)
