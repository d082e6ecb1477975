"""What people wrote, in whatever script: it must not turn around what stands beside it, nor be turned around by it."""

import re

from ccari.ports.access import Role
from tests.unit.web.api import AS_WRITTEN, Api
from tests.unit.web.console.browsing import Seen, Visitor, signed_in

#: Its last full stop, and the parentheses, move in a paragraph that runs the other way.
ARABIC = "رسالة العميل (رقم 7)."
NEW, BARS = "/console/requests/new", "/console/suppressions"
_WITHIN = re.compile(rf'(?:<bdi>|dir="auto"[^>]*>){re.escape(ARABIC)}')
_TYPED = re.compile(r'<(?:input|textarea)\b[^>]* name="(?:reason|how|note|why|proof)"[^>]*>')


def turned(seen: Seen) -> list[str]:
    """What stands in the page's own direction: words in Arabic, and fields to write them in."""
    outside = _WITHIN.sub("", seen.text)
    fields = [each for each in _TYPED.findall(outside) if 'dir="auto"' not in each]
    return fields + [outside[each.start() - 60 : each.end()] for each in re.finditer(ARABIC[:6], outside)]


async def test_words_in_another_script_stand_in_disorder(api: Api, visitor: Visitor) -> None:
    officer = await signed_in(api, visitor, Role.DPO)
    whose = {"number": AS_WRITTEN, "controller": "acme"}
    entered = await officer.send(NEW, NEW, **whose, right="access", level="L2", note=ARABIC)
    refused = await officer.send(entered.url, f"{entered.url}/extend", reason=" ")
    extended = await officer.send(entered.url, f"{entered.url}/extend", reason=ARABIC)
    barred = await officer.send(BARS, f"{BARS}/add", **whose, reason="do_not_call", proof=ARABIC)
    checked = await officer.send(BARS, f"{BARS}/check", **whose)
    await officer.send(BARS, f"{BARS}/lift", **whose, why=ARABIC)
    known = await officer.send("/console/subjects", "/console/subjects", **whose)
    blank = [await officer.get(path) for path in (NEW, f"{BARS}/import", "/console/calls/find")]
    for seen in (extended, barred, checked, known):
        assert _WITHIN.search(seen.text), seen.url
    for seen in (entered, refused, extended, barred, checked, known, *blank):
        assert turned(seen) == [], seen.url
