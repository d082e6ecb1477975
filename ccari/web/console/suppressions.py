"""Pages for bars on numbers: looking up, entering and lifting them. A number is never in a URL, and is not shown again."""

from typing import Any

from ccari.policy.suppression import Reason
from ccari.web import suppressions as api
from ccari.web.console.pages import Answer, Moved, Shown, Visit, kept_query, of_a_page
from ccari.web.console.sessions import PATH
from ccari.web.models.suppressions import SuppressionsQuery

_HOME = f"{PATH}/suppressions"


async def register(visit: Visit) -> Answer:
    """The form to look up a number, and the newest bars."""
    return await _home(visit)


async def look_up(visit: Visit) -> Answer:
    """Why a number is barred, and which registers it is in. Who asked, and why, is put on record."""
    return await _home(visit, answer=(await api.check(visit.ask)).content)


async def add(visit: Visit) -> Answer:
    """Bar a number."""
    done = (await api.add(visit.ask)).content
    said = visit.words(
        "bars.added" if done.added else "bars.known", number=done.number, controller=done.controller
    )
    return Moved(_HOME, said)


async def lift(visit: Visit) -> Answer:
    """Lift a number's bars."""
    lifted = (await api.remove(visit.ask)).content.lifted
    return Moved(_HOME, visit.words("bars.lifted", n=len(lifted)))


async def _home(visit: Visit, **fields: Any) -> Shown:
    policy = await visit.ask.policy_in_force()
    query = of_a_page(visit.ask.query or SuppressionsQuery())
    page = (await api.list_bars(visit.asking(query=query))).content
    return Shown(
        "suppressions.html.j2",
        {
            "page": page, "query": query, "keep": kept_query(visit), "answer": None, "reasons": list(Reason),
            "controllers": policy.controllers, "campaigns": policy.campaigns, **fields,
        },
    )  # fmt: skip
