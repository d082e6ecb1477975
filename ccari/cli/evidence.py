"""``ccari evidence``: seals journals, has seals time-stamped, checks all of them, exports evidence packs and verifies them."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ccari.cli import evidence_verify
from ccari.cli.context import note, with_store
from ccari.cli.drafts import writing
from ccari.cli.evidence_verify import authority_of, not_checked
from ccari.cli.output import watched
from ccari.cli.plain import printable
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import EvidenceError
from ccari.keyring.files import refuse_taken
from ccari.policy.sentences import in_utc
from ccari.ports.accesses import Looked
from ccari.ports.evidence import HeardSound
from ccari.recordings.evidence.authority import Stamped
from ccari.recordings.evidence.checking import Found, check
from ccari.recordings.evidence.hearing import names_prompts
from ccari.recordings.evidence.keys import SigningKeys
from ccari.recordings.evidence.newest import NewestSeal, Seen
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.sealer import Sealer
from ccari.sounds.heard import heard_of
from ccari.store.opened import Store

#: What error messages call this file.
WHAT = "evidence"

app = typer.Typer(help="The sealed account of one call or request, for someone without access to ccari.")


@app.command()
def seal(context: typer.Context) -> None:
    """Seal now the journals of what is over, as the service does every minute."""

    async def work(settings: Settings, store: Store) -> int:
        return await Sealer(store.seals, SigningKeys(settings.keys_dir)).seal()

    sealed = with_store(context, work)
    typer.echo(
        f"{counted(sealed, 'journal was', 'journals were')} sealed" if sealed else "everything is sealed"
    )


@app.command()
def stamp(context: typer.Context) -> None:
    """Have the newest seal time-stamped now by the authority of the settings, as the service does every so many minutes."""
    # aiohttp takes long to import, and no other command here needs it
    from ccari.app.timestamping import open_stamper  # noqa: PLC0415

    async def work(settings: Settings, store: Store) -> Stamped | None:
        async with open_stamper(settings, store) as stamper:
            return await stamper.stamp()

    stamped = with_store(context, work)
    if stamped is None:
        typer.echo("the newest seal has a time stamp, or another node is having it made")
    else:
        typer.echo(f"the newest seal was there {in_utc(stamped.at)}, says {stamped.by}")


@app.command("check")
def check_(context: typer.Context) -> None:
    """Check all seals and all journals: no seal is missing or unsigned, every time stamp is valid, and every journal is
    intact, entry by entry, and matches its seal.

    Exit status 1 if not; it names the first bad seal or time stamp, or every bad journal.
    """

    async def work(settings: Settings, store: Store) -> tuple[Found, Seen | None]:
        with watched("checking seals and journals") as progress:
            authority = authority_of(settings.time_stamps.certificates)
            found = await check(store.seals, SigningKeys(settings.keys_dir).all(), progress, authority)
        return found, await NewestSeal(settings.data_dir, store.seals).missing()

    found, missing = with_store(context, work)
    newest = f"whose newest is {found.newest.hex()}" if found.seals else "which has none"
    lost = [f"{missing}, which this node has seen, is not in the database, {newest}"] if missing else []
    unfit = [printable(each) for each in (*lost, *found.unfit)]
    for each in unfit:
        typer.echo(each)
    if unfit:
        raise EvidenceError(f"{counted(len(unfit), 'fault was', 'faults were')} found; the first: {unfit[0]}")
    typer.echo(f"{counted(found.seals, 'seal')} of {counted(found.journals, 'journal')}: no fault was found")
    if found.seals:
        typer.echo(f"the newest is {found.newest.hex()}: compare it with the log's last journals_sealed")
    if late := found.latest:
        which = f"{late.kind} {late.id}, of {in_utc(late.at)}"
        typer.echo(printable(f"longest without a seal: an entry of {which}, until {in_utc(late.sealed_at)}"))
    if found.set_back:
        at, last = map(in_utc, found.set_back)
        typer.echo(f"a clock was set back: the seal of {at} was made after that of {last}")
    if found.stamped:
        newest = f"{in_utc(found.stamped.at)}, by {found.stamped.by}"
        typer.echo(f"{counted(found.time_stamps, 'time stamp')}, the newest of {newest}: no fault was found")
    if found.waited:
        sealed_at, stamped_at = map(in_utc, found.waited)
        typer.echo(f"longest without a time stamp: the seal of {sealed_at}, until {stamped_at}")
    if found.unchecked:
        typer.echo(f"{not_checked(found.unchecked)}: set [time_stamps] certificates")
    typer.echo(f"{counted(found.walked, 'journal was', 'journals were')} checked, entry by entry")


@app.command()
def export(
    context: typer.Context,
    which: Annotated[
        str, typer.Argument(metavar="CALL|REQUEST", help="A call's id, or a request's reference.")
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write, readable by its owner only; default: evidence-….zip here."),
    ] = None,
) -> None:
    """Write a ZIP that proves one call or request: a signed vCon with its lawful bases, journal, policy, notice
    and seals.

    Numbers are masked: ccari does not keep the full number of a call. A pack that is there already is not
    overwritten: it may hold what has been erased since.
    """
    if out is None:
        out = Path(f"evidence-{which.strip()}.zip")
    # before the access is recorded
    refuse_taken(out, WHAT)

    async def work(settings: Settings, store: Store) -> tuple[bytes, Sequence[HeardSound], bool]:
        prover = Prover(store.seals, SigningKeys(settings.keys_dir), partial(heard_of, settings))
        account = await prover.sealed(which)
        await note(store, Looked.EVIDENCE_EXPORTED, {"of": account.id})
        content, heard = prover.pack(account)
        return content, heard, names_prompts(account.journal)

    content, heard, named = with_store(context, work)
    with writing(out, new=WHAT) as file:
        file.write(content)
    without_audio = [each.key for each in heard if not each.files]
    if without_audio or (named and not heard):
        lost = ", ".join(without_audio) or "the notice"
        typer.echo(
            f"ccari: {lost}: the audio that was played is missing from the pack: it is neither in the sounds folder nor in data_dir/heard",
            err=True,
        )
    wordless = [each.key for each in heard if each.text is None]
    if wordless:
        typer.echo(
            f"ccari: {', '.join(wordless)}: the words that were played are no longer known, and are missing from the pack",
            err=True,
        )
    typer.echo(f"the evidence of {which} is in {out}")


app.command("verify")(evidence_verify.command)
