"""Pages about a person: what is known of a number; on a request of theirs, exporting their data, what an erasure would delete and keep,
and their other requests.

Nothing is erased here. An erasure cannot be undone, so it is a command: `ccari subject erase --yes`.
"""

from typing import Annotated, Any

from pydantic import Field

from ccari.errors import AllKeptError
from ccari.office import dossiers
from ccari.office import subjects as office
from ccari.policy import mandate as law
from ccari.policy.erasure import Ground
from ccari.policy.mandate import ANSWERED_BY_EXPORT
from ccari.policy.rights import Right
from ccari.ports.accesses import Looked, whose_number
from ccari.ports.keying import Digests
from ccari.ports.requests import SOON_DAYS
from ccari.ports.subjects import ANSWER_LANGUAGES, AnswerLanguage, Mandate
from ccari.web import subjects as api
from ccari.web.console.pages import Answer, Shown, Visit
from ccari.web.models.base import Body
from ccari.web.models.fields import NumberText
from ccari.web.models.requests import RequestPath, RequestRow
from ccari.web.models.subjects import ExportBody, PlanShown, SubjectFound
from ccari.web.problems import not_there

#: How many other requests of the same number are shown.
_MOST_OTHERS = 100


class NumberForm(Body):
    """The person's number, if the request no longer has it: an erasure takes it out of its own request too."""

    number: Annotated[NumberText | None, Field(repr=False)] = None


class ExportForm(NumberForm):
    language: AnswerLanguage | None = None


async def find_form(_: Visit) -> Answer:
    """The form to look up what is known of a number."""
    return _known(None)


async def find(visit: Visit) -> Answer:
    """What is known of a number, which is not shown again. Who looked, and what for, is on record."""
    return _known((await api.find(visit.ask)).content)


async def one(visit: Visit) -> Answer:
    """What can be done on the request, and what an erasure would delete and keep. Who looks is put on record."""
    return await _one(visit, NumberForm())


async def look(visit: Visit) -> Answer:
    """The same, with the number from the form, if the request no longer has it."""
    return await _one(visit, visit.ask.body)


async def export(visit: Visit) -> Answer:
    """The file for the person, as from the API. It is put on record, also in the request's journal."""
    given: ExportForm = visit.ask.body
    mandate, request = await _asked(visit)
    body = ExportBody(
        number=given.number or request["number"] or "", request=mandate.reference, language=given.language
    )
    return await api.export(visit.asking(body=body))


def _known(found: SubjectFound | None) -> Shown:
    return Shown("known.html.j2", {"found": found, "soon": SOON_DAYS})


async def _one(visit: Visit, given: NumberForm) -> Shown:
    mandate, request = await _asked(visit)
    digests = Digests(request["digest"], request["key_version"], tuple(mandate.digests))
    target = {**whose_number(mandate.controller, digests), "request": mandate.reference}
    await visit.ask.note(Looked.SUBJECT_LOOKED_UP, target, mandate.reference)
    faults = {"export": _fault(mandate, ANSWERED_BY_EXPORT), "erasure": _fault(mandate, {Right.ERASURE})}
    number = given.number or request["number"]
    plan, refused = None, False
    if faults["erasure"] is None and number is not None:
        plan, refused = await _plan(visit, mandate, number)
    fields = {
        "request": {**request, "number": None}, "faults_of": faults, "plan": plan, "refused": refused, "number_known": number is not None,
        "number_kept": request["number"] is not None, "others": await _others(visit, mandate, digests), "soon": SOON_DAYS,
        "answer_first": plan is not None and any(each.ground == Ground.REQUEST for each in plan.stays),
        "page_languages": ANSWER_LANGUAGES, "page_language": office.language_of(mandate, await visit.ask.policy()),
    }  # fmt: skip
    return Shown("subject.html.j2", fields)


async def _asked(visit: Visit) -> tuple[Mandate, dict[str, Any]]:
    """The request, as a mandate and as a row. Raises Refusal (404) if the bearer may not see it."""
    path: RequestPath = visit.ask.path
    front, reference = visit.ask.front, path.reference.upper()
    request = (await front.requests.show(reference)).request
    # first, as in the API
    if not visit.ask.bearer.sees(request["controller"]):
        raise not_there()
    return await front.subjects.mandate(reference), request


def _fault(mandate: Mandate, rights: frozenset[Right] | set[Right]) -> law.MandateFault | None:
    """Why nothing may be done on the request, ignoring whose number is given; None if it may."""
    return law.fault(
        rights, mandate.right, mandate.state, mandate.level, same_number=True, same_controller=True, begun=mandate.begun,
    )  # fmt: skip


async def _plan(visit: Visit, mandate: Mandate, number: str) -> tuple[PlanShown, bool]:
    """What an erasure would do, and whether it would be refused because legal grounds keep everything."""
    front, policy = visit.ask.front, await visit.ask.policy_in_force()
    of = await office.identified_person(
        policy,
        front.subjects,
        await front.vouched(),
        number,
        mandate.controller,
        mandate.reference,
        {Right.ERASURE},
    )
    try:
        return PlanShown.model_validate(await front.giving.plan(of, keep_proof=True)), False
    except AllKeptError as error:
        return PlanShown.model_validate({"goes": (), "stays": error.stays}), True


async def _others(visit: Visit, mandate: Mandate, digests: Digests) -> list[RequestRow]:
    clock = dossiers.clock(await visit.ask.policy())
    rows = await visit.ask.front.requests.of({mandate.controller: digests}, _MOST_OTHERS, clock=clock)
    return [
        RequestRow.model_validate(dossiers.register_row(row))
        for row in rows
        if row["reference"] != mandate.reference
    ]
