"""``ccari evidence``: seals journals, has seals time-stamped, checks all of them, exports evidence packs and verifies them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ccari.cli.context import Json, note, with_store
from ccari.cli.drafts import writing
from ccari.cli.output import as_json, watched
from ccari.cli.plain import printable
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import ConfigError, EvidenceError, why
from ccari.keyring.files import refuse_taken
from ccari.ports.accesses import Looked
from ccari.ports.evidence import HeardSound
from ccari.recordings.evidence.authority import Authority, Stamped
from ccari.recordings.evidence.authority import authority as trusted
from ccari.recordings.evidence.checking import Found, check
from ccari.recordings.evidence.keys import SigningKeys, VerifyingKey, public_key
from ccari.recordings.evidence.newest import NewestSeal, Seen
from ccari.recordings.evidence.proving import Prover
from ccari.recordings.evidence.sealer import Sealer
from ccari.recordings.evidence.verifying import Entered, Verdict, verify
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
        typer.echo(f"the newest seal was there {stamped.at:%Y-%m-%d %H:%M:%S} UTC, says {stamped.by}")


@app.command("check")
def check_(context: typer.Context) -> None:
    """Check all seals and all journals: no seal is missing or unsigned, every time stamp is valid, and every journal is
    intact, entry by entry, and matches its seal.

    Exit status 1 if not; it names the first bad seal or time stamp, or every bad journal.
    """

    async def work(settings: Settings, store: Store) -> tuple[Found, Seen | None]:
        with watched("checking seals and journals") as progress:
            authority = _authority(settings.time_stamps.certificates)
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
        which = f"{late.kind} {late.id}, of {_moment(late.at)}"
        typer.echo(printable(f"longest without a seal: an entry of {which}, until {_moment(late.sealed_at)}"))
    if found.stamped:
        newest = f"{_moment(found.stamped.at)}, by {found.stamped.by}"
        typer.echo(f"{counted(found.time_stamps, 'time stamp')}, the newest of {newest}: no fault was found")
    if found.waited:
        sealed_at, stamped_at = map(_moment, found.waited)
        typer.echo(f"longest without a time stamp: the seal of {sealed_at}, until {stamped_at}")
    if found.unchecked:
        typer.echo(f"{_unchecked(found.unchecked)}: set [time_stamps] certificates")
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
        names_prompts = any(
            each.event == "notice_heard" and each.fields and each.fields.get("prompts") != ""
            for each in account.journal
        )
        return content, heard, names_prompts

    content, heard, names_prompts = with_store(context, work)
    with writing(out, new=WHAT) as file:
        file.write(content)
    without_audio = [each.key for each in heard if not each.files]
    if without_audio or (names_prompts and not heard):
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


@app.command("verify")
def verify_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The pack, as export wrote it.")],
    *,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PUBLIC.pem",
            help="The public key of whoever is said to have issued it; repeatable. Default: the keys in the keys folder.",
        ),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(
            metavar="CERTIFICATES.pem",
            help="The certificates of the authority that the time stamps are from. Default: those of the settings, without --key.",
        ),
    ] = None,
    recordings: Annotated[
        Path | None, typer.Option(help="The recordings folder: compare its files as well.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a pack, offline and without the database. Exit status 1 if it does not match; it names the first
    difference.
    """
    keys = _keys(context, key)
    if authority is None and not key:
        authority = context.obj.settings().time_stamps.certificates
    verdict = _verified(file, keys, recordings, _authority(authority))
    if json:
        as_json({**{name: getattr(verdict, name) for name in Verdict.__slots__}, "kind": verdict.kind.value})
    else:
        _print(verdict)
        if recordings is not None:
            typer.echo(
                f"{counted(verdict.recordings, 'file of a recording', 'files of recordings')} compared"
            )


def _print(verdict: Verdict) -> None:
    typer.echo(f"{verdict.kind} {verdict.id}: no fault was found")
    typer.echo(f"made {verdict.made_at:%Y-%m-%d %H:%M:%S} UTC, signed with the key {verdict.key}")
    _print_seals(verdict)
    for words, what in (
        (verdict.erased, "erased: the fields of {}"),
        (verdict.uncompared, "not compared, because the journal's copy is erased: {}"),
        (verdict.unproven, f"not proven, because the journal does not say it: {{}} of the {verdict.kind}"),
        (verdict.unheard, "without the audio of {}"),
        (verdict.wordless, "without the words of {}"),
        (verdict.untold, "without the notice that was heard by entry {}"),
    ):
        if words:
            typer.echo(printable(what.format(", ".join(map(str, words)))))


def _print_seals(verdict: Verdict) -> None:
    """By when each entry existed: its own date, its seal's date, and the date of the seal's time stamp."""
    typer.echo(counted(verdict.entries, "entry", "entries"))
    for entered, sealed_at in zip(verdict.entered, verdict.sealed_at, strict=True):
        if entered is not None:
            typer.echo(f"{_dated(entered)}: sealed {_moment(sealed_at)}")
    for sealed_at, stamped_at in zip(verdict.sealed_at, verdict.stamped_at, strict=True):
        if stamped_at is not None:
            typer.echo(
                f"the seal of {_moment(sealed_at)} was there {_moment(stamped_at)}, says {', '.join(verdict.authorities)}"
            )
        elif not verdict.unchecked:
            typer.echo(
                f"the seal of {_moment(sealed_at)} has no time stamp: that it was there then, only the key says"
            )
    if verdict.unchecked:
        typer.echo(f"{_unchecked(verdict.unchecked)}: give the authority's certificates with --authority")


def _keys(context: typer.Context, files: list[Path] | None) -> list[VerifyingKey]:
    if files:
        return [public_key(each) for each in files]
    folder = context.obj.settings().keys_dir
    keys = SigningKeys(folder).all()
    if not keys:
        raise ConfigError(f"there is no evidence key in {folder}: give the public key with --key PUBLIC.pem")
    return keys


def _dated(entered: Entered) -> str:
    """Entries with their own dates."""
    since, until = _moment(entered.since), _moment(entered.until)
    which = (
        f"entry {entered.first}"
        if entered.first == entered.last
        else f"entries {entered.first} to {entered.last}"
    )
    return f"{which}, of {since}" + (f" to {until}" if until != since else "")


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _unchecked(time_stamps: int) -> str:
    return f"{counted(time_stamps, 'time stamp was', 'time stamps were')} not checked"


def _authority(certificates: Path | None) -> Authority | None:
    return None if certificates is None else trusted(certificates)


def _verified(
    file: Path, keys: list[VerifyingKey], recordings: Path | None, authority: Authority | None
) -> Verdict:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{file} cannot be read: {why(error)}") from None
    try:
        return verify(content, keys, recordings, authority)
    except EvidenceError as error:
        # names in a pack may be anything
        raise EvidenceError(f"{file} failed verification: {printable(str(error))}") from None
