"""Bars on numbers over HTTP: entering, looking up, lifting and listing them."""

from typing import Any, Protocol

from ccari.office.bars import Barring, Bars, Lifting
from ccari.ports.accesses import Looked
from ccari.ports.suppressions import RegisterStore, SuppressionStore
from ccari.web.front import Ask, NumberPorts, Reply
from ccari.web.models.suppressions import (
    Barred,
    BarringBody,
    CheckAnswer,
    CheckBody,
    Lifted,
    LiftingBody,
    SuppressionPage,
    SuppressionsQuery,
)
from ccari.web.paging import cursor, cut, id_in


class SuppressionPorts(NumberPorts, Protocol):
    @property
    def suppressions(self) -> SuppressionStore: ...
    @property
    def registers(self) -> RegisterStore: ...


async def add(ask: Ask[SuppressionPorts]) -> Reply[Barred]:
    """Bar a number for one controller. Only its keyed digest is stored.

    If the number was barred already the answer says so. Who has barred it, or tried to, is put on record.
    """
    body: BarringBody = ask.body
    bars = await _bars(ask)
    asked = Barring(body.number, body.controller, body.campaign, body.reason, body.proof, body.until)
    return Reply(Barred.model_validate(await bars.enter(asked, ask.who)))


async def check(ask: Ask[SuppressionPorts]) -> Reply[CheckAnswer]:
    """Why a number is barred, and which registers it is in."""
    body: CheckBody = ask.body
    bars = await _bars(ask)
    await ask.note(Looked.NUMBER_CHECKED, bars.subject(body.number, body.controller), body.why)
    rows = await bars.of_number(body.number, body.controller)
    barred = any(row["stands"] for row in rows)
    return Reply(CheckAnswer.model_validate({"barred": barred, "bars": [bar_row(row) for row in rows]}))


async def remove(ask: Ask[SuppressionPorts]) -> Reply[Lifted]:
    """Lift a number's bars. Bars for restriction and erasure are lifted only if the reason is named. (Before a restriction is
    lifted the person must be told, Art 18(3); what only the restriction has kept is then deleted.) Lifted bars stay on record.
    An empty list: there were none; then the request is put on record as a look-up.
    """
    body: LiftingBody = ask.body
    bars = await _bars(ask)
    asked = Lifting(body.number, body.controller, body.campaign, body.reason, body.why.strip())
    lifted = await bars.lift(asked, ask.who)
    if not lifted:
        await ask.note(Looked.NUMBER_CHECKED, bars.subject(body.number, body.controller), "lifting")
    return Reply(Lifted.model_validate({"lifted": [bar_row(row) for row in lifted]}))


async def list_bars(ask: Ask[SuppressionPorts]) -> Reply[SuppressionPage]:
    """Bars, the newest first, with digests: numbers are not stored. A bar that is entered again keeps its place in the list."""
    query: SuppressionsQuery = ask.query
    controllers, after = await ask.narrowed(query.controller), id_in(query.after)
    rows = await ask.front.suppressions.page(
        controllers, query.limit + 1, after, campaign=query.campaign, reason=query.reason,
    )  # fmt: skip
    page, then = cut(rows, query.limit, lambda row: cursor(row["id"]))
    return Reply(SuppressionPage.model_validate({"items": [bar_row(row) for row in page], "next": then}))


async def _bars(ask: Ask[SuppressionPorts]) -> Bars:
    front = ask.front
    return Bars(await ask.policy_in_force(), front.suppressions, front.registers, await front.vouched())


def bar_row(row: dict[str, Any]) -> dict[str, Any]:
    """A bar as it is shown: a bar on all campaigns names none."""
    return {**row, "campaign": row["campaign"] or None}
