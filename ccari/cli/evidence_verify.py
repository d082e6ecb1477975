"""``ccari evidence verify``: checks a pack or a dossier that somebody was given, and says by when each entry was there."""

import hashlib
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli.context import Json
from ccari.cli.output import as_json, watched
from ccari.cli.plain import printable
from ccari.counting import counted
from ccari.errors import ConfigError, EvidenceError, why
from ccari.policy.seal import Kind
from ccari.policy.sentences import in_utc
from ccari.recordings.dossier.binding import LeftOut
from ccari.recordings.dossier.verifying import DossierVerdict, is_dossier
from ccari.recordings.dossier.verifying import verify as verify_dossier
from ccari.recordings.evidence.authority import Authority
from ccari.recordings.evidence.authority import authority as trusted
from ccari.recordings.evidence.keys import SigningKeys, VerifyingKey, public_key
from ccari.recordings.evidence.seals import Entered
from ccari.recordings.evidence.unzipping import MOST_BYTES
from ccari.recordings.evidence.verifying import Verdict, verify


def command(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="The pack, as export wrote it, or the dossier of ccari subject dossier.")
    ],
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
    """Check a pack or a dossier, offline and without the database. Exit status 1 if it does not match; it names the first
    difference.
    """
    keys = _keys(context, key)
    if authority is None and not key:
        authority = context.obj.settings().time_stamps.certificates
    verdict, sha256 = _verified(file, keys, recordings, authority_of(authority))
    packs = verdict.packs if isinstance(verdict, DossierVerdict) else [verdict]
    if json:
        as_json({**_as_dict(verdict), "sha256": sha256})
        return
    if isinstance(verdict, DossierVerdict):
        _print_dossier(verdict)
    else:
        _print(verdict)
    typer.echo(f"the SHA-256 of the file is {sha256}")
    if recordings is not None:
        compared = sum(each.recordings for each in packs)
        typer.echo(f"{counted(compared, 'file of a recording', 'files of recordings')} compared")


def authority_of(certificates: Path | None) -> Authority | None:
    """The authority with these certificates; None without. Raises ConfigError if they cannot be read."""
    return None if certificates is None else trusted(certificates)


def not_checked(time_stamps: int) -> str:
    return f"{counted(time_stamps, 'time stamp was', 'time stamps were')} not checked"


def without_evidence(which: str, left_out: LeftOut) -> str:
    """Says why a dossier has no pack of a call or request."""
    state = "not valid" if left_out.unfit else "not over yet"
    return f"without the evidence of {which}, {state}: {left_out.reason}"


def _as_dict(verdict: Verdict | DossierVerdict) -> dict[str, Any]:
    if isinstance(verdict, DossierVerdict):
        told = {name: getattr(verdict, name) for name in DossierVerdict.__slots__}
        return {"kind": "dossier", **told, "packs": list(map(_as_dict, verdict.packs))}
    return {**{name: getattr(verdict, name) for name in Verdict.__slots__}, "kind": verdict.kind.value}


def _print_dossier(verdict: DossierVerdict) -> None:
    missing = len(verdict.left_out)
    are = "is" if missing == 1 else "are"
    found = (
        f"is as it was signed; {counted(missing, 'call or request', 'calls and requests')} {are} without evidence"
        if missing
        else "no fault was found"
    )
    typer.echo(printable(f"dossier of {verdict.controller}: {found}"))
    typer.echo(f"made {in_utc(verdict.made_at)}, signed with the key {verdict.key}")
    calls = sum(each.kind is Kind.CALL for each in verdict.packs)
    held = f"{counted(calls, 'call')} and {counted(len(verdict.packs) - calls, 'request')}"
    typer.echo(f"evidence of {held}")
    for which, why_not in verdict.left_out.items():
        typer.echo(printable(without_evidence(which, why_not)))
    if verdict.uncompared:
        typer.echo(printable(f"not compared with the number: {', '.join(verdict.uncompared)}"))
    for each in verdict.packs:
        typer.echo()
        _print(each)


def _print(verdict: Verdict) -> None:
    typer.echo(f"{verdict.kind} {verdict.id}: no fault was found")
    if verdict.controller is not None:
        typer.echo(printable(f"on behalf of the controller {verdict.controller}"))
    typer.echo(f"made {in_utc(verdict.made_at)}, signed with the key {verdict.key}")
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
            typer.echo(f"{_dated(entered)}: sealed {in_utc(sealed_at)}")
    for sealed_at, stamped_at, by in zip(
        verdict.sealed_at, verdict.stamped_at, verdict.stamped_by, strict=True
    ):
        if stamped_at is not None:
            typer.echo(f"the seal of {in_utc(sealed_at)} was there {in_utc(stamped_at)}, says {by}")
        elif not verdict.unchecked:
            typer.echo(
                f"the seal of {in_utc(sealed_at)} has no time stamp: that it was there then, only the key says"
            )
    if verdict.unchecked:
        typer.echo(f"{not_checked(verdict.unchecked)}: give the authority's certificates with --authority")


def _keys(context: typer.Context, files: list[Path] | None) -> list[VerifyingKey]:
    if files:
        return [public_key(each) for each in files]
    folder: Path = context.obj.settings().keys_dir
    keys = SigningKeys(folder).all()
    if not keys:
        raise ConfigError(f"there is no evidence key in {folder}: give the public key with --key PUBLIC.pem")
    return keys


def _dated(entered: Entered) -> str:
    """Entries with their own dates."""
    since, until = in_utc(entered.since), in_utc(entered.until)
    which = (
        f"entry {entered.first}"
        if entered.first == entered.last
        else f"entries {entered.first} to {entered.last}"
    )
    return f"{which}, of {since}" + (f" to {until}" if until != since else "")


def _verified(
    file: Path, keys: list[VerifyingKey], recordings: Path | None, authority: Authority | None
) -> tuple[Verdict | DossierVerdict, str]:
    """The verdict, and the SHA-256 of the file."""
    try:
        with file.open("rb") as opened:
            # it may be a pipe
            content = opened if opened.seekable() else io.BytesIO(opened.read())
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            if not is_dossier(content):
                content.seek(0)
                return verify(content.read(MOST_BYTES + 1), keys, recordings, authority), sha256
            with watched("checking files") as progress:
                return verify_dossier(content, keys, recordings, authority, progress), sha256
    except OSError as error:
        raise EvidenceError(f"{file} cannot be read: {why(error)}") from None
    except EvidenceError as error:
        # names in it may be anything
        raise EvidenceError(f"{file} failed verification: {printable(str(error))}") from None
