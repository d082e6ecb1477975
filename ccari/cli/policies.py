"""``ccari policy``: checks, applies, lists and shows policies, and draws up the record of processing and the information for people."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ccari.cli import policy_information, policy_record
from ccari.cli.context import NO_POLICY, Json, RevisionNumber, actor, applied_revision, with_store
from ccari.cli.doctor.readiness import BUILD, lacking, left_behind, unspoken
from ccari.cli.output import afterwards, as_json, as_list, telling
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError, not_utf8, why
from ccari.policy.declaration import MOST_CHARACTERS, Policy, PolicyError, read
from ccari.policy.doubts import doubts
from ccari.policy.faults import Fault
from ccari.policy.presets import PRESETS, Preset
from ccari.policy.sentences import in_utc
from ccari.store.opened import Store
from ccari.store.policies import Applied

app = typer.Typer(help="Controllers and campaigns, as declared.")
app.command("record")(policy_record.command)
app.command("information")(policy_information.command)

File = Annotated[Path, typer.Argument(help="A policy.toml.")]
#: How much of a file is read: one UTF-8 character more than the longest policy, so that a longer one is refused.
_MOST_BYTES = 4 * (MOST_CHARACTERS + 1)


@app.command()
def check(
    context: typer.Context,
    file: File,
    *,
    file_only: Annotated[
        bool,
        typer.Option("--file-only", help="Check only the file: no secrets, sounds or database."),
    ] = False,
    json: Json = False,
) -> None:
    """Check a policy file without applying it: what is wrong in it, and what would block its calls.

    Exit status 1 if there is anything. What is allowed but questionable is reported on standard error.
    """
    try:
        policy = read(_text(file))
    except PolicyError as error:
        if not json:
            raise _in(file, error) from None
        as_json(_checked(file, faults=error.faults))
        raise typer.Exit(1) from None

    async def work(settings: Settings, store: Store) -> tuple[list[str], list[str]]:
        blocks = await store.policies.called_again(policy)
        blocks += await lacking(settings, store, policy, f"{BUILD} --policy {file}")
        return blocks, await left_behind(store, policy)

    blocks, left = (unspoken(policy), []) if file_only else with_store(context, work)
    doubtful = [*doubts(policy), *left]
    if json:
        as_json(_checked(file, blocks=blocks, doubts=doubtful))
        raise typer.Exit(1 if blocks else 0)
    _print_doubts(doubtful)
    if blocks:
        raise CcariError("\n".join(f"{file}: {each}" for each in blocks))
    typer.echo(f"{file} is valid: {_count(policy)}")


@app.command()
def apply(context: typer.Context, file: File, *, json: Json = False) -> None:
    """Apply a policy file as the newest revision. Calls in progress keep the revision that they began under."""
    document, policy = read_policy(file)

    async def work(settings: Settings, store: Store) -> tuple[Applied, list[str], list[str]]:
        applied = await store.policies.applied(await store.policies.apply(document, actor()))
        if applied is None:
            raise CcariError("the revision that was applied is not in the database")
        with afterwards(_in_force(applied, policy)):
            return applied, await lacking(settings, store, policy), await left_behind(store, policy)

    applied, blocks, left = with_store(context, work)
    doubtful = [*doubts(policy), *left]
    words = _in_force(applied, policy)
    with telling(words):
        if json:
            as_json(_revision(applied) | {"blocks": blocks, "doubts": doubtful})
            return
        typer.echo(words)
        typer.echo(f"applied by {applied.applied_by} at {in_utc(applied.applied_at)}")
        typer.echo(f"sha256 {applied.sha256}")
    _print_doubts(doubtful)
    for each in blocks:
        typer.echo(f"calls stay blocked: {each}", err=True)


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List every revision that was applied, the newest first. The newest is in force."""

    async def work(_: Settings, store: Store) -> list[dict[str, Any]]:
        return await store.policies.revisions()

    rows = with_store(context, work)
    columns = {"revision": "REVISION", "applied_at": "APPLIED", "applied_by": "BY", "sha256": "SHA256"}
    as_list(rows, columns, json=json, none=NO_POLICY)


@app.command()
def show(
    context: typer.Context,
    revision: RevisionNumber = None,
    *,
    json: Json = False,
) -> None:
    """Print a policy revision as it was applied; with --json, what it declares."""

    async def work(_: Settings, store: Store) -> Applied:
        return await applied_revision(store, revision)

    applied = with_store(context, work)
    if json:
        as_json(_revision(applied) | applied.policy().model_dump(mode="json", by_alias=True))
    else:
        typer.echo(f"# revision {applied.number}, applied by {applied.applied_by}")
        typer.echo(applied.document, nl=not applied.document.endswith("\n"))


@app.command()
def presets(*, json: Json = False) -> None:
    """List the presets: the calling rules of countries that a campaign may name, each with its source."""
    rows = [_preset(each) for each in PRESETS.values()]
    columns = {
        "country": "PRESET", "hours": "HOURS", "calls": "CALLS", "register_days": "REGISTER DAYS",
        "consent": "MARKETING CONSENT", "source": "SOURCE",
    }  # fmt: skip
    as_list(rows, columns, json=json, none="there are no presets", shown=_spoken)


def read_policy(file: Path) -> tuple[str, Policy]:
    """The text of a policy file and what it declares."""
    document = _text(file)
    try:
        return document, read(document)
    except PolicyError as error:
        raise _in(file, error) from None


def _text(file: Path) -> str:
    """The text of a file, with its line ends unchanged: its hash must be what sha256sum prints."""
    try:
        with file.open("rb") as opened:
            # not all of it: it may be a huge file or an endless device
            return opened.read(_MOST_BYTES).decode("utf-8")
    except OSError as error:
        raise CcariError(f"cannot read {file}: {why(error)}") from None
    except UnicodeDecodeError as error:
        raise CcariError(f"{file}: {not_utf8(error)}") from None


def _in(file: Path, error: PolicyError) -> CcariError:
    return CcariError("\n".join(f"{file}: {fault}" for fault in error.faults))


def _checked(
    file: Path, *, faults: Sequence[Fault] = (), blocks: Sequence[str] = (), doubts: Sequence[str] = ()
) -> dict[str, Any]:
    listed = [{"line": each.line, "key": each.key, "words": each.words} for each in faults]
    return {"file": str(file), "sound": not faults, "faults": listed, "blocks": blocks, "doubts": doubts}


def _print_doubts(doubtful: Sequence[str]) -> None:
    for each in doubtful:
        typer.echo(f"warning: {each}", err=True)


def _in_force(applied: Applied, policy: Policy) -> str:
    return f"revision {applied.number} is in force: {_count(policy)}"


def _count(policy: Policy) -> str:
    return f"{counted(len(policy.controllers), 'controller')}, {counted(len(policy.campaigns), 'campaign')}"


def _revision(applied: Applied) -> dict[str, Any]:
    return {
        "revision": applied.number, "applied_at": applied.applied_at, "applied_by": applied.applied_by,
        "sha256": applied.sha256,
    }  # fmt: skip


def _preset(preset: Preset) -> dict[str, Any]:
    hours = [each.model_dump(mode="json", by_alias=True, exclude={"timezone"}) for each in preset.hours]
    return asdict(preset) | {"hours": hours}


def _spoken(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "hours": "; ".join(f"{each['days']} {each['from'][:5]}-{each['to'][:5]}" for each in row["hours"]),
        "calls": f"{row['calls']} in {counted(row['per_days'], 'day')}" if row["calls"] else None,
        "consent": "needed" if row["consent"] else None,
    }
