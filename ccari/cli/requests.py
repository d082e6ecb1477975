"""``ccari requests``: rights requests, from entering one to closing it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.text import Text

from ccari.cli import forwards, request_export, request_record, spooled
from ccari.cli.context import (
    MOST,
    ControllerId,
    Json,
    Limit,
    NumberText,
    OfController,
    Why,
    actor,
    current_policy,
    looked_up_in,
    rows_of_declared,
    vouched,
    with_store,
)
from ccari.cli.forwards import Reference
from ccari.cli.output import afterwards, as_done, as_json, as_list, telling
from ccari.cli.purging import Yes, purging
from ccari.config import Settings
from ccari.office.dossiers import clock, register_row
from ccari.office.intake import Claim, enter
from ccari.policy.retention import Limited
from ccari.policy.rights import EFFECTS, Level, RequestState, Right
from ccari.policy.speech import end_of_reference
from ccari.ports.requests import (
    OVERDUE,
    SOON_DAYS,
    Clock,
    EnteredBy,
    Handling,
    Intake,
    LevelName,
    WantedRequests,
)
from ccari.store.opened import Store

_T = TypeVar("_T")

app = typer.Typer(help="Rights requests, and the work on them.")
app.command("forwards")(forwards.queue)
app.command("forward")(forwards.deliver)
app.command("webhook-secret")(forwards.secret)
app.command("show")(request_record.command)
app.command("export")(request_export.command)
app.command("spooled")(spooled.listing)
app.command("replay")(spooled.replay)

COLUMNS = {
    "reference": "REFERENCE", "right": "RIGHT", "article": "ARTICLE", "state": "STATE", "level": "LEVEL",
    "number": "NUMBER", "received_at": "RECEIVED", "due": "DUE", "days_left": "DAYS LEFT",
}  # fmt: skip


#: Rights for which a person decides what happens to earlier recordings.
_OF_RECORDINGS = frozenset({Right.OBJECTION, Right.REFUSE_RECORDING})
Reason = Annotated[str, typer.Option(help="Why; kept with the request and told to the controller.")]


def _ending(reference: str) -> str:
    try:
        return end_of_reference(reference.strip())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--reference") from None


@app.command("list")
def list_(
    context: typer.Context,
    *,
    controller: OfController = None,
    state: Annotated[
        list[RequestState] | None,
        typer.Option(metavar="|".join(RequestState), help="Only in this state; repeatable."),
    ] = None,
    right: Annotated[Right | None, typer.Option(help="Only of this right.")] = None,
    open: Annotated[bool, typer.Option("--open", help="Only open requests.")] = False,  # noqa: A002 - the option's name
    overdue: Annotated[bool, typer.Option("--overdue", help="Only overdue requests.")] = False,
    due_within: Annotated[
        int | None,
        typer.Option(
            min=0, max=MOST, help="Only those due within this many days, or overdue.", metavar="DAYS"
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Only with this reference, or with these digits as they are read out in a call: 2026123 or 2026 12345."
        ),
    ] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List requests, the one due first at the top. Numbers are masked."""
    wanted = WantedRequests(
        tuple(state or ()), right, open, OVERDUE if overdue else due_within,
        ending=None if reference is None else _ending(reference),
    )  # fmt: skip

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        rows = await store.requests.list(controller, limit, clock=await _clock(store), wanted=wanted)
        return await rows_of_declared(store, controller, rows)

    rows = list(map(register_row, with_store(context, work)))
    as_list(rows, COLUMNS, json=json, none="there are no requests", limit=limit, shown=coloured)


@app.command()
def find(
    context: typer.Context,
    number: NumberText,
    *,
    controller: OfController = None,
    why: Why = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List what a number has asked for, the newest first, including closed requests. Exit status 1 if nothing."""

    async def work(settings: Settings, store: Store) -> Sequence[dict[str, Any]]:
        known_as = await looked_up_in(settings, store, number, controller, "requests", why)
        return await store.requests.of(known_as, limit, clock=await _clock(store))

    rows = list(map(register_row, with_store(context, work)))
    none = "there are no requests from this number"
    as_list(rows, COLUMNS, json=json, none=none, limit=limit, shown=coloured)
    raise typer.Exit(0 if rows else 1)


@app.command()
def add(
    context: typer.Context,
    right: Annotated[Right, typer.Argument(help="The right.")],
    number: NumberText,
    *,
    controller: ControllerId = None,
    campaign: Annotated[
        str | None,
        typer.Option(
            help="The campaign that it is about, if any. For refuse_recording it is needed where the controller's recordings rest on different "
            "legal bases."
        ),
    ] = None,
    received: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN", help="2026-12-31 or 2026-12-31T12:00, by the controller's clock; default: now."
        ),
    ] = None,
    by: Annotated[EnteredBy, typer.Option(help="How it was received.")] = "other",
    level: Annotated[LevelName, typer.Option(help="How certain the person's identity is.")] = "L0",
    note: Annotated[str, typer.Option(help="A note, such as where the letter is on file.")] = "",
    json: Json = False,
) -> None:
    """Enter a request that did not come by key. Its immediate effects happen now."""

    async def work(settings: Settings, store: Store) -> dict[str, Any]:
        claim = Claim(right, number, controller, campaign, received, Intake(by), Level[level], note)
        secrets = await vouched(settings, store)
        return await enter(await current_policy(store), claim, store.requests, secrets, actor())

    done = with_store(context, work)
    with telling(f"{done['reference']} was entered"):
        if json:
            as_json(done)
            return
        typer.echo(f"{done['reference']} is {_words(done['state'])}, due {done['due']}")
        if done["barred"]:
            typer.echo(f"{done['number']} is now barred for {done['controller']}: {done['barred']}")


@app.command()
def verify(
    context: typer.Context,
    reference: Reference,
    *,
    level: Annotated[LevelName, typer.Option(help="How certain the person's identity is now.")],
    how: Annotated[
        str,
        typer.Option(
            help="How it was verified, such as: called back (L1); they also knew the contract's date (L2)."
        ),
    ],
    json: Json = False,
) -> None:
    """Record how sure the person's identity is, and how it was verified (Art 12(6))."""

    async def work(store: Store, handling: Handling) -> dict[str, Any]:
        return await store.requests.verify(reference, Level[level], handling)

    done = _with_requests(context, how, work)
    words = f"{done['reference']} is {_words(done['state'])}, the person's identity {done['level']}"
    as_done(done, words, json=json)


@app.command()
def start(context: typer.Context, reference: Reference, *, json: Json = False) -> None:
    """Start work on a request."""
    _step(context, reference, RequestState.IN_PROGRESS, "", json=json)


@app.command()
def extend(context: typer.Context, reference: Reference, *, reason: Reason, json: Json = False) -> None:
    """Extend a complex request by two months: once, and within the first month (Art 12(3))."""
    advice = "tell the person of the extension and why, within the first month (Art 12(3)); a refusal is due within it too (Art 12(4))"
    _step(context, reference, RequestState.EXTENDED, reason, advice, json=json)


@app.command()
def resolve(
    context: typer.Context,
    reference: Reference,
    *,
    note: Annotated[str, typer.Option(help="What was done.")] = "",
    json: Json = False,
) -> None:
    """Close a request as fulfilled. Its number is erased; the digest stays.

    Carry out an erasure first, with subject erase: once the request is closed, none can be begun on it.
    """
    _step(context, reference, RequestState.FULFILLED, note, json=json)


@app.command()
def refuse(context: typer.Context, reference: Reference, *, reason: Reason, json: Json = False) -> None:
    """Close a request as refused. Its number is erased; what it barred stays barred."""
    advice = "tell the person why, and that they can complain to the supervisory authority and go to court (Art 12(4))"
    _step(context, reference, RequestState.REFUSED, reason, advice, json=json)


@app.command()
def withdraw(context: typer.Context, reference: Reference, *, reason: Reason, json: Json = False) -> None:
    """Close a request that the person has taken back. Its number is erased; what it barred stays barred."""
    _step(context, reference, RequestState.WITHDRAWN, reason, json=json)


@app.command()
def purge(context: typer.Context, *, yes: Yes = False, json: Json = False) -> None:
    """Expire now the closed requests that are past their controller's requests_days, by the policy in force: they no
    longer show whose they were.

    The service does this by itself, once a limit has been in force for a day. Requests that are held are kept, and
    what holds them is named.
    """
    purging(context, Limited.REQUESTS, yes=yes, json=json)


def _step(
    context: typer.Context, reference: str, to: RequestState, words: str, advice: str = "", *, json: bool
) -> None:
    async def work(store: Store, handling: Handling) -> tuple[dict[str, Any], str]:
        done = await store.requests.step(reference, to, handling)
        with afterwards(_stepped(done, to)):
            if to is RequestState.FULFILLED:
                return done, await _left_to_do(store, done)
            if to is RequestState.REFUSED:
                return done, advice + await _lateness(store, handling.clock, done)
        return done, advice

    done, told = _with_requests(context, words, work)
    as_done(done, _stepped(done, to), json=json)
    if told:
        typer.echo(told, err=True)
    if to in {RequestState.REFUSED, RequestState.WITHDRAWN} and EFFECTS[Right(done["right"])].suppress:
        typer.echo("what was barred stays barred: see ccari suppress list", err=True)


def _stepped(done: dict[str, Any], to: RequestState) -> str:
    closed = "; its number is erased" if not to.is_open else f", due {done['due']}"
    return f"{done['reference']} is {_words(done['state'])}{closed}"


async def _lateness(store: Store, now: Clock, done: dict[str, Any]) -> str:
    """Says that a refusal comes too late, if it does: the first month counts, even if the request was extended."""
    record = await store.requests.show(done["reference"])
    by = record.history[0]["due"]
    if now.today(record.request["controller"]) <= by:
        return ""
    return f"\nthis was due by {by}, extended or not: tell them also why it is late"


async def _left_to_do(store: Store, done: dict[str, Any]) -> str:
    """What remains to be done after a request was closed as fulfilled; "" if nothing."""
    if done["right"] == Right.ERASURE:
        request = (await store.requests.show(done["reference"])).request
        if request["erasing"]:
            return (
                "the erasure that was begun on it is not complete: run it again, as before: "
                f"ccari subject erase NUMBER --request {done['reference']} --yes"
            )
        if request["erased_at"] is None:
            return (
                "no erasure was carried out on it: only its recordings are deleted; for the rest enter a new request, verify it, "
                "then: ccari subject erase NUMBER --request REF --yes"
            )
    if done["right"] in _OF_RECORDINGS:
        return (
            "no recording was deleted by that; each that it concerns is kept until the limit of its campaign, unless you delete it: "
            "ccari calls find NUMBER, ccari calls show CALL, ccari recordings purge RECORDING --reason WHY"
        )
    return ""


def _with_requests(
    context: typer.Context, words: str, work: Callable[[Store, Handling], Awaitable[_T]]
) -> _T:
    async def run(_: Settings, store: Store) -> _T:
        return await work(store, Handling(actor(), await _clock(store), words))

    return with_store(context, run)


async def _clock(store: Store) -> Clock:
    revision = await store.policies.newest()
    return clock(revision.policy if revision else None)


def coloured(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its due date in red if it is overdue, in yellow if it is due soon; in words too, since a pipe has no colours."""
    left = row["days_left"]
    if left is None:
        return row
    style = "bold red" if row["overdue"] else "yellow" if left <= SOON_DAYS else ""
    words = f"overdue {-left}" if row["overdue"] else str(left)
    due = str(row["due"]) if row["refuse_by"] is None else f"{row['due']} (a refusal: {row['refuse_by']})"
    return {**row, "due": Text(due, style), "days_left": Text(words, style)}


def _words(state: str) -> str:
    return state.replace("_", " ")
