"""Pages for calls: the list, those with a number, and one call with its journal."""

from ccari.policy.call import HANDED_BACK, Outcome
from ccari.web import calls as api
from ccari.web import evidence as proofs
from ccari.web.console.pages import Answer, Shown, Visit, kept_query, of_a_page
from ccari.web.models.calls import CallsFound, CallsQuery


async def register(visit: Visit) -> Answer:
    """The newest calls first."""
    query = of_a_page(visit.ask.query or CallsQuery())
    page = (await api.list_calls(visit.asking(query=query))).content
    policy = await visit.ask.policy()
    fields = {
        "page": page, "query": query, "keep": kept_query(visit), "outcomes": (*Outcome, HANDED_BACK),
        "campaigns": policy.campaigns if policy else (),
    }  # fmt: skip
    return Shown("calls.html.j2", fields)


async def find_form(_: Visit) -> Answer:
    """The form to find the calls with a number."""
    return _calls_found(None)


async def find(visit: Visit) -> Answer:
    """The calls with a number, which is not shown again. Who looked, and what for, is on record."""
    return _calls_found((await api.find(visit.ask)).content)


async def one(visit: Visit) -> Answer:
    """One call, and whether its journal is intact."""
    return Shown("call.html.j2", {"call": (await api.show_call(visit.ask)).content})


async def evidence(visit: Visit) -> Answer:
    """The sealed account of the call, for somebody without access to ccari."""
    return await proofs.of_call(visit.ask)


def _calls_found(found: CallsFound | None) -> Shown:
    return Shown("calls_of_number.html.j2", {"found": found})
