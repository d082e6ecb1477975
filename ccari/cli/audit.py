"""``ccari audit``: lists, checks and expires the record of accesses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from ccari.cli.context import Json, Limit, OfController, Why, looked_up_in, with_store
from ccari.cli.output import as_list, cell
from ccari.cli.plain import printable
from ccari.cli.purging import Yes, purging
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError
from ccari.policy.retention import Limited
from ccari.ports.accesses import Looked, WantedAccesses
from ccari.store.opened import Store

app = typer.Typer(help="Who looked at a recording or at a person's data, when and why.")


@app.command("list")
def list_(
    context: typer.Context,
    *,
    who: Annotated[
        str | None, typer.Option(help="Only by this user or token, such as cli:anna or token:crm.")
    ] = None,
    access: Annotated[Looked | None, typer.Option(help="Only of this kind.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Only of this many past days.")] = None,
    of: Annotated[
        str | None, typer.Option(metavar="ID", help="Only to this call, recording or request.")
    ] = None,
    number: Annotated[
        str | None,
        typer.Option(help="Only to this person, or to a call, recording or request of theirs."),
    ] = None,
    controller: OfController = None,
    why: Why = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List accesses, the newest first. A person is identified by the keyed digest of their number.

    With --number, the list itself is an access to that person, and is put on record first; --controller narrows it
    to what that one has of them. What has expired (accesses_days of the policy) is not listed.
    """
    if controller is not None and number is None:
        raise typer.BadParameter("only with --number", param_hint="--controller")
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None

    async def work(settings: Settings, store: Store) -> tuple[list[dict[str, Any]], datetime | None]:
        known_as = None
        if number is not None:
            known_as = await looked_up_in(settings, store, number, controller, "accesses", why)
        rows = await store.accesses.list(limit, WantedAccesses(who, access, since, _id(of), known_as))
        return rows, await store.accesses.expired_before()

    rows, before = with_store(context, work)
    columns = {"seq": "#", "at": "AT", "who": "WHO", "access": "ACCESS", "what": "WHAT", "why": "WHY"}
    as_list(
        rows, columns, json=json, none="there were no accesses", limit=limit,
        shown=lambda row: {**row, "what": " ".join(f"{name}={value}" for name, value in row["what"].items())},
    )  # fmt: skip
    if before is not None and (since is None or since < before):
        typer.echo(f"accesses before {cell(before)} have expired, but for those that are held", err=True)


def _id(text: str | None) -> str | None:
    """The id as the record has it: of a call or a recording, or a request's reference."""
    if text is None:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        return text.strip().upper()


@app.command()
def purge(context: typer.Context, *, yes: Yes = False, json: Json = False) -> None:
    """Erase now who looked at what, and why, from entries that are past accesses_days of the policy in force. The
    entries themselves stay, so that the record can still be checked.

    The service does this by itself, once a limit has been in force for a day. Accesses that are held are kept, and
    what holds them is named.
    """
    purging(context, Limited.ACCESSES, yes=yes, json=json)


@app.command()
def check(context: typer.Context) -> None:
    """Check that no entry was changed, left out, moved or erased before its time, that the record matches its
    seals, and that policies, tokens, legal holds and the bars entered or lifted by hand are as it says. Exit status 1 if not.

    The seals themselves are checked by ccari evidence check.
    """

    async def work(_: Settings, store: Store) -> tuple[int, str | None, tuple[int, Sequence[str]]]:
        count, fault = await store.accesses.fault()
        return count, fault, (0, []) if fault else await store.accesses.contradictions()

    count, fault, (otherwise, named) = with_store(context, work)
    if fault is not None:
        raise CcariError(f"the record of accesses is damaged or was altered: {printable(fault)}")
    if otherwise:
        more = f", and {otherwise - len(named)} more" if otherwise > len(named) else ""
        raise CcariError(
            "the record of accesses is intact, but not everything is as it says: "
            f"{counted(otherwise, 'policy, token, hold or bar', 'policies, tokens, holds or bars')} missing, changed or never entered: "
            f"{printable(', '.join(named))}{more}: see ccari audit list"
        )
    typer.echo(f"{counted(count, 'access', 'accesses')}: the record is intact")
