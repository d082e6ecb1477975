"""The register of rights over HTTP: listing, showing and entering requests, and the steps until they are closed."""

from collections.abc import Awaitable, Mapping
from datetime import date
from typing import Any, Protocol

from pydantic import BaseModel, TypeAdapter

from ccari.office import claimants, dossiers
from ccari.office.intake import Claim, enter
from ccari.policy import speech
from ccari.policy.rights import Level, RequestState
from ccari.ports.accesses import Looked
from ccari.ports.forwarding import ForwardLog
from ccari.ports.requests import OVERDUE, Handling, Intake, Place, RequestRegister, WantedRequests
from ccari.web.front import Ask, NumberPorts, Reply
from ccari.web.models.fields import Day, OneLine
from ccari.web.models.requests import (
    ClaimBody,
    FindBody,
    NoteBody,
    ReasonBody,
    Registered,
    RequestPage,
    RequestPath,
    RequestsFound,
    RequestShown,
    RequestsQuery,
    Stepped,
    VerifyBody,
)
from ccari.web.paging import cursor, cut, place
from ccari.web.problems import not_there
from ccari.web.repeats import id_of

_PLACE: TypeAdapter[tuple[bool, date, str]] = TypeAdapter(tuple[bool, Day, OneLine])


class RequestPorts(NumberPorts, Protocol):
    @property
    def requests(self) -> RequestRegister: ...
    @property
    def forwards(self) -> ForwardLog: ...


async def list_requests(ask: Ask[RequestPorts]) -> Reply[RequestPage]:
    """Requests in the order of due dates; closed requests at the end."""
    query: RequestsQuery = ask.query
    after = place(query.after, _PLACE)
    wanted = WantedRequests(
        query.state, query.right, query.open, OVERDUE if query.overdue else None, query.due_before,
        await ask.narrowed(query.controller), Place(*after) if after else None, speech.end_of_reference(query.reference) if query.reference else None,
    )  # fmt: skip
    clock = dossiers.clock(await ask.policy())
    rows = await ask.front.requests.list(None, query.limit + 1, clock=clock, wanted=wanted)
    page, then = cut(
        rows, query.limit, lambda row: cursor(row["closed_at"] is not None, row["due"], row["reference"])
    )
    return Reply(RequestPage.model_validate({"items": list(map(dossiers.register_row, page)), "next": then}))


async def find(ask: Ask[RequestPorts]) -> Reply[RequestsFound]:
    """The requests of a number, the newest first, closed ones too. Who looks, and why, is put on record."""
    body: FindBody = ask.body
    policy = await ask.policy_in_force()
    known_as = claimants.known_as(policy, await ask.front.vouched(), body.number, body.controller)
    await ask.note_number(known_as, "requests", body.why)
    rows = await ask.front.requests.of(known_as, body.limit + 1, clock=dossiers.clock(policy))
    items = tuple(dossiers.register_row(row) for row in rows[: body.limit])
    found = {"controllers": tuple(known_as), "items": items, "more": len(rows) > body.limit}
    return Reply(RequestsFound.model_validate(found))


async def show(ask: Ask[RequestPorts]) -> Reply[RequestShown]:
    """One request: how it came in, what it did at once, what it requires, and its history."""
    return Reply(await shown(ask))


async def shown(ask: Ask[RequestPorts], *, whole: bool = False, why: str = "") -> RequestShown:
    """As :func:`show`. The access is put on record. ``whole``: with the whole number, while it is stored."""
    front = ask.front
    dossier = await dossiers.dossier(
        _reference(ask), front.requests, front.forwards, await ask.policy(), whole=whole
    )
    if not ask.bearer.sees(dossier["controller"]):
        raise not_there()
    target = {
        "request": dossier["reference"], "controller": dossier["controller"], "number": "whole" if whole else "masked",
    }  # fmt: skip
    await ask.note(Looked.REQUEST_SHOWN, target, why)
    return RequestShown.model_validate(dossier)


async def add(ask: Ask[RequestPorts]) -> Reply[Registered]:
    """Enter a request that did not come in by key. Its immediate effect is carried out."""
    body: ClaimBody = ask.body
    claim = Claim(
        body.right, body.number, body.controller, body.campaign, body.received, Intake(body.by), Level[body.level],
        body.note, id_of(ask.request, ask.bearer.name),
    )  # fmt: skip
    front = ask.front
    done = await enter(await ask.policy_in_force(), claim, front.requests, await front.vouched(), ask.who)
    return Reply(Registered.model_validate(done), location=f"/v1/requests/{done['reference']}")


async def verify(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Record how sure the person's identity is, and how it was verified (Art 12(6))."""
    body: VerifyBody = ask.body
    register, handling = await _at_work(ask, body.how, seen)
    return await _done(register.verify(_reference(ask), Level[body.level], handling))


async def start(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Begin the work on a request."""
    return await _step(ask, RequestState.IN_PROGRESS, "", seen)


async def extend(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Extend a complex request by two months. That is possible once, within the first month (Art 12(3))."""
    body: ReasonBody = ask.body
    return await _step(ask, RequestState.EXTENDED, body.reason, seen)


async def resolve(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Close a request as fulfilled. Its number is erased; the digest stays."""
    body: NoteBody = ask.body
    return await _step(ask, RequestState.FULFILLED, body.note, seen)


async def refuse(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Close a request as refused (Art 12(4)). Its number is erased; what it barred stays barred."""
    body: ReasonBody = ask.body
    return await _step(ask, RequestState.REFUSED, body.reason, seen)


async def withdraw(ask: Ask[RequestPorts], *, seen: int | None = None) -> Reply[Stepped]:
    """Close a request that the person has withdrawn. Its number is erased; what it barred stays barred."""
    body: ReasonBody = ask.body
    return await _step(ask, RequestState.WITHDRAWN, body.reason, seen)


class Step(Protocol):
    """Takes one step. ``seen``: see :class:`ccari.ports.requests.Handling`."""

    def __call__(self, ask: Ask[RequestPorts], *, seen: int | None = None) -> Awaitable[Reply[Stepped]]: ...


#: The steps in the work on a request, each with what is said about it.
STEPS: Mapping[str, tuple[Step, type[BaseModel] | None]] = {
    "verify": (verify, VerifyBody), "start": (start, None), "extend": (extend, ReasonBody), "resolve": (resolve, NoteBody),
    "refuse": (refuse, ReasonBody), "withdraw": (withdraw, ReasonBody),
}  # fmt: skip


async def _step(ask: Ask[RequestPorts], to: RequestState, words: str, seen: int | None) -> Reply[Stepped]:
    register, handling = await _at_work(ask, words, seen)
    return await _done(register.step(_reference(ask), to, handling))


async def _at_work(ask: Ask[RequestPorts], words: str, seen: int | None) -> tuple[RequestRegister, Handling]:
    """The register, and who handles the request, when and with what words. Raises Refusal (404) if the bearer may not see the request."""
    register = ask.front.requests
    record = await register.show(_reference(ask))
    if not ask.bearer.sees(record.request["controller"]):
        raise not_there()
    return register, Handling(ask.who, dossiers.clock(await ask.policy()), words, seen)


async def _done(step: Awaitable[dict[str, Any]]) -> Reply[Stepped]:
    return Reply(Stepped.model_validate(await step))


def _reference(ask: Ask[RequestPorts]) -> str:
    path: RequestPath = ask.path
    return path.reference.upper()
