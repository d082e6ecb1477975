"""All that is kept about one person, over HTTP: looking it up, exporting it on their request, and what an erasure would delete."""

import base64
from collections.abc import Collection
from typing import Protocol

from aiohttp import web

from ccari.office import claimants
from ccari.office.known import Kept, known_of
from ccari.office.subjects import IdentifiedPerson, SubjectWork, identified_person
from ccari.policy.mandate import ANSWERED_BY_EXPORT
from ccari.policy.rights import Right
from ccari.ports.accesses import Looked
from ccari.ports.subjects import Subjects
from ccari.web.downloads import ZIP, pieces_of, sent
from ccari.web.front import Ask, NumberPorts, Reply
from ccari.web.models.requests import FindBody
from ccari.web.models.subjects import ExportBody, PlanBody, PlanShown, SubjectBody, SubjectFound
from ccari.web.problems import not_there
from ccari.web.suppressions import bar_row


class PersonPorts(Kept, NumberPorts, Protocol):
    @property
    def subjects(self) -> Subjects: ...
    @property
    def giving(self) -> SubjectWork: ...


async def find(ask: Ask[PersonPorts]) -> Reply[SubjectFound]:
    """What is known of a number: its bars and those that were lifted, where it came from, its consents with their uses, its requests and its calls, `limit` of each,
    the newest first. Who looks, and why, is put on record.
    """
    body: FindBody = ask.body
    front, policy = ask.front, await ask.policy_in_force()
    secrets = await front.vouched()
    known_as = claimants.known_as(policy, secrets, body.number, body.controller)
    await ask.note_number(known_as, "everything", body.why)
    found = await known_of(body.number, known_as, front, policy, secrets, body.limit)
    for each in found:
        each |= {kind: [bar_row(bar) for bar in each[kind]] for kind in ("bars", "lifted")}
    return Reply(SubjectFound.model_validate({"controllers": found}))


async def export(ask: Ask[PersonPorts]) -> web.StreamResponse:
    """All that is kept about a person (Art 15), or the data that they may take along (Art 20): JSON, and a page to read.

    Recordings are listed, but their audio is not in it: for that, somebody with a key runs `ccari subject export --identity`.
    """
    body: ExportBody = ask.body
    of = await _identified(ask, ANSWERED_BY_EXPORT)
    async with ask.front.giving.export(of, body.language) as exported:
        await ask.note(Looked.SUBJECT_EXPORTED, of.access_target, of.mandate.reference)
        # recorded before it is sent: nothing must be given out without a trace
        await ask.front.giving.note(of, ask.who, exported.words)
        digest = base64.b64encode(bytes.fromhex(exported.sha256)).decode()
        name = f"subject-{of.mandate.reference}.zip"
        # RFC 9530
        return await sent(ask, ZIP, name, pieces_of(exported.file), {"repr-digest": f"sha-256=:{digest}:"})


async def erasure_plan(ask: Ask[PersonPorts]) -> Reply[PlanShown]:
    """What an erasure on the request would delete, what would stay, and on which ground. Nothing is erased.

    The erasure itself cannot be undone, so it is a command: `ccari subject erase --yes`.
    """
    body: PlanBody = ask.body
    of = await _identified(ask, {Right.ERASURE})
    await ask.note(Looked.SUBJECT_LOOKED_UP, of.access_target, of.mandate.reference)
    return Reply(PlanShown.model_validate(await ask.front.giving.plan(of, keep_proof=body.keep_proof)))


async def _identified(ask: Ask[PersonPorts], rights: Collection[Right]) -> IdentifiedPerson:
    body: SubjectBody = ask.body
    front, reference = ask.front, body.request.upper()
    # first, because any other error would reveal that another controller has a request with that reference
    if not ask.bearer.sees((await front.requests.show(reference)).request["controller"]):
        raise not_there()
    policy = await ask.policy_in_force()
    secrets = await front.vouched()
    return await identified_person(
        policy, front.subjects, secrets, body.number, body.controller, reference, rights
    )
