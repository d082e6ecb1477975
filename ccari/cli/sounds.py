"""``ccari sounds``: builds the prompts, imports a speaker's recordings, and lists both."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ccari.cli.context import Json, current_policy, with_store
from ccari.cli.output import as_json, as_list
from ccari.cli.plain import printable
from ccari.cli.policies import read_policy
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import SoundError
from ccari.policy import notices, wording
from ccari.policy.declaration import Policy
from ccari.policy.keypad import KeyAction
from ccari.policy.wording import Prompt
from ccari.sounds import Catalogue, Entry, EspeakNg, Manifest, build
from ccari.sounds.build import Progress as Built
from ccari.sounds.intake import Recording, examine, take
from ccari.sounds.locking import lock_folder
from ccari.sounds.soundboard import Soundboard, open_soundboard, shipped_sounds
from ccari.sounds.studio import folder_of
from ccari.store.opened import Store

app = typer.Typer(help="The prompts that callees and agents hear.")

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A policy file, in place of the policy in force.")
]
Folder = Annotated[
    Path | None, typer.Option("--dir", help="The sounds folder, in place of the one in the settings.")
]
Common = Annotated[
    bool,
    typer.Option("--common", help="Only prompts that are the same in every campaign, in every language."),
]
OtherCatalogue = Annotated[Path | None, typer.Option("--catalogue", help="A different catalogue of texts.")]

#: Listeners of a notice: the field of a row, and its heading.
_HEARD_BY = {"first_ms": "FIRST", "later_ms": "LATER", "caller_ms": "CALLER"}


@app.command("build")
def build_(
    context: typer.Context,
    *,
    policy: PolicyFile = None,
    folder: Folder = None,
    common: Common = False,
    catalogue: OtherCatalogue = None,
) -> None:
    """Build every prompt of the policy's campaigns, all equally loud. Unchanged prompts are kept.

    Imported recordings are used; everything else is spoken by the synthetic voice.
    """
    wanted = _wanted(context, policy, catalogue, common=common)
    target = folder or context.obj.settings().sounds_dir
    manifest = _build(wanted, target)
    typer.echo(
        f"{counted(len(manifest.entries), 'prompt is', 'prompts are')} in {target}; how long callees listen: ccari sounds notices"
    )


@app.command("import")
def import_(
    context: typer.Context,
    recordings: Annotated[
        Path, typer.Argument(help="A folder of recordings, such as pl/renewals/identity.wav.")
    ],
    *,
    policy: PolicyFile = None,
    folder: Folder = None,
    common: Common = False,
    catalogue: OtherCatalogue = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Import the good recordings even if others are refused; default: a refused one keeps all of them out.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Import a speaker's recordings, in place of the synthetic voice. Exit status 1 if nothing was changed.

    A file is named after its prompt, as `ccari sounds list` shows it (pl.renewals.identity.wav also works). A
    .txt file beside it can hold its words. Each file is checked (sampling rate, clipping, silence, length) and
    brought to the same loudness as the others. The recordings are kept with the sounds, for every later build.
    """
    wanted = _wanted(context, policy, catalogue, common=common)
    target = folder or context.obj.settings().sounds_dir
    examined = []
    for recording in examine(recordings, wanted):
        examined.append(recording)
        if not json:
            _print_result(recording)
    refused = [each for each in examined if each.fault is not None]
    taken = []
    if examined and (keep_going or not refused):
        # locked, since a concurrent build would use some of the recordings and synthesise the others
        with lock_folder(target):
            taken = take(examined, folder_of(target))
    if taken:
        _build(taken, target)
    if json:
        as_json([_recording(each, taken=each.prompt in taken) for each in examined])
    elif taken:
        typer.echo(
            f"{counted(len(taken), 'recording replaces', 'recordings replace')} the synthetic voice, {counted(len(refused), 'was', 'were')} refused"
        )
    if not taken:
        raise SoundError(f"nothing was changed: {_why_none(len(refused), len(examined), recordings)}")


def _why_none(refused: int, examined: int, folder: Path) -> str:
    """Why no recording was imported, and what to do."""
    if not examined:
        return f"there are no recordings in {folder}"
    hint = ": correct them, or import the rest with --keep-going" if refused < examined else ""
    return f"{refused} of {counted(examined, 'recording is', 'recordings are')} refused{hint}"


@app.command("list")
def list_(
    context: typer.Context, *, policy: PolicyFile = None, folder: Folder = None, json: Json = False
) -> None:
    """List the prompts that the policy in force needs, with their words, and which of them have no sound.

    With --dir, list the prompts in that folder, whether needed or not.
    """
    rows = _built(folder) if folder else _needed(context, policy)
    columns = {"key": "PROMPT", "origin": "ORIGIN", "duration_ms": "MS", "text": "WORDS"}
    as_list(rows, columns, json=json, none="there are no prompts")
    for row in rows:
        if row["fault"] and not json:
            typer.echo(f"ccari: {row['fault']}", err=True)


@app.command("notices")
def notices_(context: typer.Context, *, policy: PolicyFile = None, json: Json = False) -> None:
    """List how long callees listen before they are connected, by campaign and language. Exit status 1 if a sound is missing.

    FIRST: a number that is told everything. LATER: one that has heard the information before. CALLER: somebody who calls.
    The pauses between the prompts, and the wait for a key in opt_in, come on top.
    """
    declared = read_policy(policy)[1] if policy else with_store(context, _in_force)
    rows, faults = _durations(declared, open_soundboard(context.obj.settings()))
    columns = {"campaign": "CAMPAIGN", "language": "LANGUAGE", **_HEARD_BY}
    as_list(rows, columns, json=json, none="no campaign has all of its sounds", shown=_in_seconds)
    if faults:
        raise SoundError("\n".join(faults))


def _built(folder: Path) -> list[dict[str, Any]]:
    return [_row(key, entry.text, entry) for key, entry in sorted(Manifest.load(folder).entries.items())]


def _needed(context: typer.Context, file: Path | None) -> list[dict[str, Any]]:
    board = open_soundboard(context.obj.settings())
    needed = {each.key: each for each in _prompts(context, file, board.catalogue)}
    rows = []
    for key, prompt in sorted(needed.items()):
        try:
            rows.append(_row(key, prompt.text, board.find(prompt)))
        except SoundError as error:
            rows.append(_row(key, prompt.text, None, str(error)))
    return rows


def _durations(policy: Policy, board: Soundboard) -> tuple[list[dict[str, Any]], list[str]]:
    """How long callees listen, in ms: a row for each language of each campaign; and why some campaigns have no row."""
    rows, faults = [], []
    for campaign in policy.campaigns:
        try:
            scripts = board.scripts(policy.controller_of(campaign), campaign)
        except SoundError as error:
            faults.append(f"{campaign.id}: {error}")
            continue
        for language, script in scripts.items():
            # nobody can call in to a campaign that names no agent
            caller = notices.sequence(campaign, informed=False, inbound=True) if campaign.agent else None
            rows.append(
                {
                    "campaign": campaign.id,
                    "language": language,
                    "first_ms": script.length_ms(notices.sequence(campaign, informed=False)),
                    "later_ms": script.length_ms(notices.sequence(campaign, informed=True)),
                    "caller_ms": None if caller is None else script.length_ms(caller),
                }
            )
    return rows, faults


def _in_seconds(row: dict[str, Any]) -> dict[str, Any]:
    heard = {name: row[name] for name in _HEARD_BY}
    return row | {name: "—" if ms is None else f"{ms / 1000:.1f} s" for name, ms in heard.items()}


def _row(key: str, text: str, entry: Entry | None, fault: str | None = None) -> dict[str, Any]:
    return {
        "key": key,
        "origin": entry.origin if entry else None,
        "duration_ms": entry.duration_ms if entry else None,
        "text": text,
        "fault": fault,
    }


def _print_result(recording: Recording) -> None:
    # the files are a studio's, and so are their names
    name = printable(recording.name)
    if recording.fault is not None:
        typer.echo(f"refused {name}: {recording.fault}", err=True)
    else:
        typer.echo(f"good    {name}" + (f", but {recording.doubt}" if recording.doubt else ""))


def _recording(recording: Recording, *, taken: bool) -> dict[str, Any]:
    return {
        "file": recording.name,
        "prompt": recording.prompt.key if recording.prompt else None,
        "taken": taken and recording.fault is None,
        "fault": recording.fault,
        "doubt": recording.doubt,
    }


def _wanted(
    context: typer.Context, file: Path | None, catalogue: Path | None, *, common: bool
) -> list[Prompt]:
    words = Catalogue.load(catalogue or shipped_sounds() / "catalogue.toml")
    if common:
        return [prompt for language in words.languages for prompt in words.fixed(language)]
    return list(_prompts(context, file, words))


def _prompts(context: typer.Context, file: Path | None, words: Catalogue) -> Iterable[Prompt]:
    """The prompts of a policy file; or of the policy in force, including those that name its contacts' sources."""
    if file:
        return prompts_of(read_policy(file)[1], words)
    policy, sources = with_store(context, _current)
    return prompts_of(policy, words, sources)


def _build(wanted: Iterable[Prompt], target: Path) -> Manifest:
    with progress_bar() as report:
        return build(
            wanted,
            target,
            engine=EspeakNg(),
            studio=folder_of(target),
            shipped=shipped_sounds(),
            on_progress=report,
        )


def prompts_of(
    policy: Policy, words: Catalogue, sources: Mapping[str, Sequence[str]] | None = None
) -> Iterable[Prompt]:
    """Every prompt that a call under this policy may need; ``sources`` of its contacts by controller."""
    for campaign in policy.campaigns:
        own_sources = (sources or {}).get(campaign.controller, ())
        for language in campaign.spoken:
            yield from wording.prompts(policy.controller_of(campaign), campaign, words, language)
            if KeyAction.DATA_SOURCE in campaign.keys.values():
                yield from (wording.source(each, words, language) for each in own_sources)


async def _in_force(_: Settings, store: Store) -> Policy:
    return await current_policy(store)


async def _current(_: Settings, store: Store) -> tuple[Policy, dict[str, list[str]]]:
    return await current_policy(store), await store.contacts.sources()


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[Built], None]]:
    """A progress bar on the terminal. Yields a function to call with each prompt that is built."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    console = Console()
    # elsewhere than on a terminal, all that would be left of it is an empty line
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("prompts", total=None)

        def report(built: Built) -> None:
            progress.update(task, total=built.total, completed=built.done, description=built.prompt.key)

        yield report
