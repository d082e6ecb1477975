"""``ccari contacts``."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from ccari.cli.context import ControllerId, Json, current_policy, vouched, who, with_store
from ccari.cli.drafts import writing
from ccari.cli.imports import KeepGoing, ListFile, tell, tell_faults, watched
from ccari.cli.output import as_json, as_table
from ccari.cli.scrubbing import Scrubbing
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.gating import moments
from ccari.gating.naming import the_campaign, the_controller, the_number
from ccari.lists import NumberList, Row
from ccari.lists.contacts import COLUMNS, ContactReader
from ccari.policy import deadlines
from ccari.policy.bases import LegalBasis
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.gate import Block
from ccari.policy.parties import Controller
from ccari.ports.keying import Sought
from ccari.ports.lists import LineFault, Sourced
from ccari.store.bulk import FAULTS_LISTED
from ccari.store.contacts import Scrubbed, Sieve
from ccari.store.opened import Store

app = typer.Typer(help="The numbers that a controller may have called, and where each of them comes from.")


@app.command("import")
def import_(
    context: typer.Context,
    file: ListFile,
    *,
    controller: ControllerId = None,
    campaign: Annotated[
        str | None,
        typer.Option(help="Leave out what this campaign may not call; else what no campaign may."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the numbers come from, as the callee is to be told.")
    ] = None,
    obtained: Annotated[
        str | None, typer.Option(help="When they were obtained from there: a date such as 2026-01-31.")
    ] = None,
    basis: Annotated[LegalBasis | None, typer.Option(help="On what legal basis they are kept.")] = None,
    valid_until: Annotated[
        str | None, typer.Option(help="The last day on which they may be used; else there is none.")
    ] = None,
    proof: Annotated[str, typer.Option(help="Where that is on file, such as a contract's number.")] = "",
    keep_going: KeepGoing = False,
    json: Json = False,
) -> None:
    """Take in numbers with where they come from. Exit status 1 if a line is invalid: then nothing is changed.

    A CSV has the column number, and may have source, obtained, basis, proof and valid_until, which go before the
    options; source, obtained and basis are needed. Only keyed digests are kept. What was erased or may not be used is
    left out, and counted by reason. Who is cut off while a sound file is entered can import it again.
    """

    async def work(settings: Settings, store: Store) -> Scrubbed:
        policy, now = await current_policy(store), datetime.now(UTC)
        if campaign is None:
            whose = the_controller(policy, controller)
            scrubbing = Scrubbing.of_all(whose, now)
        else:
            declared = the_campaign(policy, campaign)
            whose = policy.controller_of(declared)
            if controller not in {None, whose.id}:
                raise CcariError(f"the campaign {campaign!r} is {whose.id!r}'s, not {controller!r}'s")
            scrubbing = Scrubbing.of_bars(policy, declared, now)
        reader = ContactReader(
            ZoneInfo(TIME_ZONES[whose.country]), deadlines.local_day(now, whose.country), source, _day(obtained), basis,
            proof, _end(valid_until, whose),
        )  # fmt: skip
        secrets = await vouched(settings, store)

        def make(row: Row) -> tuple[Sourced, Sought] | LineFault:
            contact = reader(row)
            if isinstance(contact, LineFault):
                return contact
            return contact, scrubbing.sought(secrets, contact.number)

        with (
            NumberList(file, whose.country, COLUMNS, required=reader.required) as listed,
            watched() as watch,
        ):
            return await store.contacts.load(
                scrubbing.question, scrubbing.judge, watch.reading(listed, listed.batches(make)),
                origin=f"import:{who()}", keep_going=keep_going, progress=watch.entering,
            )  # fmt: skip

    done = with_store(context, work)
    tell(done.report, json=json, barred=_by_reason(done.barred))


@dataclass(slots=True)
class _Left:
    """What was left of a list, and why not the rest."""

    lines: int = 0
    kept: int = 0
    invalid: int = 0
    left_out: Counter[Block] = field(default_factory=Counter)
    faults: list[LineFault] = field(default_factory=list)

    async def sift(self, batch: list[tuple[bytes, Sought] | LineFault], sieve: Sieve) -> bytes:
        """The rows that may stay, one after the other."""
        rows = [each for each in batch if not isinstance(each, LineFault)]
        faults = [each for each in batch if isinstance(each, LineFault)]
        blocks = await sieve.sift([sought for _, sought in rows])
        kept = [raw for (raw, _), block in zip(rows, blocks, strict=True) if block is None]
        self.lines += len(batch)
        self.kept += len(kept)
        self.invalid += len(faults)
        self.left_out.update(block for block in blocks if block is not None)
        self.faults += faults[: FAULTS_LISTED - len(self.faults)]
        return b"".join(kept)


@app.command()
def scrub(
    context: typer.Context,
    file: ListFile,
    *,
    campaign: Annotated[str, typer.Option(help="The campaign that is to call them.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; else standard output.")] = None,
    json: Json = False,
) -> None:
    """Write the rows whose number the campaign may call, unchanged, and tell how many were left out and why.

    Hours and earlier attempts do not count, and nothing is kept of the file; what is left is still asked at the gate. The
    report goes to standard error where the rows go to standard output.
    """

    async def work(settings: Settings, store: Store) -> _Left:
        policy = await current_policy(store)
        declared = the_campaign(policy, campaign)
        scrubbing = Scrubbing.of_calls(policy, declared, datetime.now(UTC))
        secrets, left = await vouched(settings, store), _Left()

        def make(row: Row) -> tuple[bytes, Sought] | LineFault:
            if row.number is None:
                return LineFault(row.line, "number", "it is empty")
            return row.raw, scrubbing.sought(secrets, row.number)

        with (
            NumberList(file, policy.controller_of(declared).country, None) as listed,
            watched() as watch,
            writing(out) as rest,
        ):
            rest.write(listed.header)
            async with store.contacts.sieve(scrubbing.question, scrubbing.judge) as sieve:
                async for batch in watch.reading(listed, listed.batches(make)):
                    rest.write(await left.sift(batch, sieve))
        return left

    left, aside = with_store(context, work), out is None
    if json:
        as_json(
            {
                "lines": left.lines, "kept": left.kept, "invalid": left.invalid,
                "left_out": _by_reason(left.left_out), "faults": left.faults,
            },
            err=aside,
        )  # fmt: skip
        return
    tell_faults(left.faults, left.invalid)
    parts = [f"{number} {reason}" for reason, number in _by_reason(left.left_out).items()]
    typer.echo(
        f"{left.lines} lines: {', '.join([f'{left.kept} may be called', f'{left.invalid} invalid', *parts])}",
        err=aside,
    )


@app.command()
def show(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The number, in any usual way of writing it.")],
    *,
    controller: ControllerId = None,
    json: Json = False,
) -> None:
    """Show where a controller has a number from. Exit status 1 if it is no contact."""

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        whose = the_controller(await current_policy(store), controller)
        digests = (await vouched(settings, store)).digests(whose.id, the_number(number, whose))
        return await store.contacts.of(whose.id, digests)

    rows = with_store(context, work)
    if json:
        as_json(rows)
    else:
        columns = {
            "source": "SOURCE", "obtained_on": "OBTAINED", "legal_basis": "BASIS", "proof": "PROOF",
            "valid_until": "UNTIL", "origin": "ORIGIN", "entered_at": "ENTERED",
        }  # fmt: skip
        as_table(rows, columns, none="it is no contact")
    raise typer.Exit(0 if rows else 1)


def _by_reason(counted: Counter[Block]) -> dict[str, int]:
    return {block.value: number for block, number in counted.most_common()}


def _day(text: str | None) -> date | None:
    try:
        return moments.day(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--obtained") from None


def _end(text: str | None, controller: Controller) -> datetime | None:
    try:
        return moments.until(text, ZoneInfo(TIME_ZONES[controller.country])) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--valid-until") from None
