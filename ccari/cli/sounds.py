"""``ccari sounds``."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ccari.cli.context import Json, current_policy, with_store
from ccari.cli.output import as_json, as_table
from ccari.cli.policies import read_policy
from ccari.config import Settings
from ccari.policy import notices
from ccari.policy.declaration import Policy
from ccari.policy.notices import Prompt
from ccari.sounds import Catalogue, EspeakNg, Manifest, build
from ccari.sounds.build import Progress as Built
from ccari.sounds.soundboard import shipped_sounds
from ccari.store.opened import Store

app = typer.Typer(help="The prompts that callees and agents hear.")

PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A policy file to build for, instead of the one in force.")
]
Folder = Annotated[
    Path | None, typer.Option("--dir", help="The folder of sounds, instead of that of the settings.")
]


@app.command("build")
def build_(
    context: typer.Context,
    *,
    policy: PolicyFile = None,
    folder: Folder = None,
    studio: Annotated[
        Path | None,
        typer.Option(help="Recordings that take the place of the synthetic voice, by prompt key."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Only what is said alike in every campaign, in every language.")
    ] = False,
    catalogue: Annotated[Path | None, typer.Option(help="Another catalogue of texts.")] = None,
) -> None:
    """Speak every prompt of the policy's campaigns, at 8 and 16 kHz and even loudness. What is unchanged is kept."""
    words = Catalogue.load(catalogue or shipped_sounds() / "catalogue.toml")
    if common:
        wanted: Iterable[Prompt] = [
            prompt for language in words.languages for prompt in words.fixed(language)
        ]
    else:
        wanted = prompts_of(read_policy(policy)[1] if policy else with_store(context, _current), words)
    target = folder or context.obj.settings().sounds_dir
    with progress_bar() as report:
        manifest = build(wanted, target, engine=EspeakNg(), studio=studio, on_progress=report)
    typer.echo(f"{len(manifest.entries)} prompts are in {target}")


@app.command("list")
def list_(context: typer.Context, *, folder: Folder = None, json: Json = False) -> None:
    """List the prompts that have been built, with their words."""
    manifest = Manifest.load(folder or context.obj.settings().sounds_dir)
    rows: list[dict[str, Any]] = [
        {"key": key, "origin": entry.origin, "duration_ms": entry.duration_ms, "text": entry.text}
        for key, entry in sorted(manifest.entries.items())
    ]
    if json:
        as_json(rows)
    else:
        columns = {"key": "PROMPT", "origin": "ORIGIN", "duration_ms": "MS", "text": "WORDS"}
        as_table(rows, columns, none="there are no prompts")


def prompts_of(policy: Policy, words: Catalogue) -> Iterable[Prompt]:
    """Every prompt that a call under this policy may need."""
    for campaign in policy.campaigns:
        for language in campaign.spoken:
            yield from notices.prompts(policy.controller_of(campaign), campaign, words, language)


async def _current(_: Settings, store: Store) -> Policy:
    return await current_policy(store)


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[Built], None]]:
    """A bar on the terminal; give each step to what it yields."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("prompts", total=None)

        def report(built: Built) -> None:
            progress.update(task, total=built.total, completed=built.done, description=built.prompt.key)

        yield report
