"""``ccari keys``."""

import typer

from ccari.app import Store
from ccari.cli.context import current_policy, with_store
from ccari.config import Settings
from ccari.store.secrets import SecretStore

app = typer.Typer(help="The secrets that suppression digests are keyed with.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def init(context: typer.Context) -> None:
    """Make the secret of each controller that has none. Back them up: without them no bar is recognised."""

    async def work(settings: Settings, store: Store) -> None:
        secrets = SecretStore(settings.keys_dir)
        for controller in (await current_policy(store)).controllers:
            words = "made" if secrets.create(controller.id) else "was there already"
            typer.echo(f"{controller.id}: {words}, in {settings.keys_dir / controller.id}")

    with_store(context, work)
