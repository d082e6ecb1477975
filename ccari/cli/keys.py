"""``ccari keys``."""

from typing import Annotated, Any

import typer

from ccari.cli.context import ControllerId, Json, current_policy, with_store
from ccari.cli.output import as_json, as_table
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.gating.naming import the_controller
from ccari.policy.declaration import Policy
from ccari.store.opened import Store
from ccari.store.secrets import Key, SecretStore

app = typer.Typer(help="The secrets that digests of numbers are keyed with.")

_HANGING = ("suppressions", "contacts", "consents", "requests", "calls", "notices", "listings")


@app.command()
def init(context: typer.Context) -> None:
    """Make the secret of each controller that has none. Back them up: without them no bar is recognised."""

    async def work(settings: Settings, store: Store) -> None:
        secrets = SecretStore(settings.keys_dir)
        for controller in (await current_policy(store)).controllers:
            words = "made" if secrets.create(controller.id) else "was there already"
            typer.echo(f"{controller.id}: {words}, in {settings.keys_dir / controller.id}")

    with_store(context, work)


@app.command("list")
def list_(context: typer.Context, *, json: Json = False) -> None:
    """List the versions in use, and what hangs on each: requests are the open ones, notices those that were
    heard, listings a register's numbers.
    """

    async def work(settings: Settings, store: Store) -> list[dict[str, Any]]:
        policy, secrets = await current_policy(store), SecretStore(settings.keys_dir)
        counts = {
            (row["controller"], row["register"], row["key_version"]): row
            for row in await store.key_versions.counts()
        }
        return [
            {
                "controller": controller, "register": register, "version": key.version, "check": key.check,
                **_hanging(counts.get((controller, register, key.version))),
            }
            for controller, register, keys in _holders(policy, secrets)
            for key in keys
        ]  # fmt: skip

    rows = with_store(context, work)
    if json:
        as_json(rows)
        return
    columns = {"controller": "CONTROLLER", "register": "REGISTER", "version": "VERSION", "check": "CHECK"}
    as_table(rows, columns | {each: each.upper() for each in _HANGING}, none="there are no secrets")


@app.command()
def rotate(context: typer.Context, *, controller: ControllerId = None) -> None:
    """Make a controller's next secret. What is entered from now on is kept under it; the older ones still count."""

    async def work(settings: Settings, store: Store) -> tuple[str, int]:
        whose = the_controller(await current_policy(store), controller)
        return whose.id, SecretStore(settings.keys_dir).rotate(whose.id)

    whose, version = with_store(context, work)
    typer.echo(f"{whose}: version {version} is written with now; back it up")


@app.command()
def retire(
    context: typer.Context,
    *,
    version: Annotated[int, typer.Option(help="Which; never the newest.")],
    controller: ControllerId = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Although something hangs on it, which is lost then.")
    ] = False,
) -> None:
    """Take an older secret out of use. What is kept under it is never found again: its bars would bar nobody."""

    async def work(settings: Settings, store: Store) -> str:
        whose = the_controller(await current_policy(store), controller)
        secrets = SecretStore(settings.keys_dir)
        counts = await store.key_versions.counts()
        found = next(
            (row for row in counts if (row["controller"], row["key_version"]) == (whose.id, version)), None
        )
        hanging = _hanging(found)
        if any(hanging.values()) and not yes:
            told = ", ".join(f"{count} {name}" for name, count in hanging.items() if count)
            raise CcariError(
                f"{told} of {whose.id!r} are kept under version {version}: {hanging['suppressions']} bars would stop "
                "working, and attempts be counted from none: import those lists again, or say --yes"
            )
        secrets.retire(whose.id, version)
        return f"{whose.id}: version {version} is out of use; {hanging['suppressions']} bars no longer work"

    typer.echo(with_store(context, work))


def _holders(policy: Policy, secrets: SecretStore) -> list[tuple[str | None, str | None, list[Key]]]:
    registers = [each.id for each in policy.registers if secrets.has_register(each.id)]
    return [
        *((each.id, None, secrets.keys(each.id)) for each in policy.controllers),
        *((None, each, secrets.register_keys(each)) for each in registers),
    ]


def _hanging(counts: dict[str, Any] | None) -> dict[str, int]:
    return {each: counts[each] if counts else 0 for each in _HANGING}
