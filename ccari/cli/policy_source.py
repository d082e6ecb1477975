"""What the commands that draw documents up from a policy draw them up from."""

from datetime import UTC, datetime

import typer

from ccari.cli.context import applied_revision, with_store
from ccari.config import Settings
from ccari.office.processing.record import Source
from ccari.store.opened import Store


def source(context: typer.Context, revision: int | None) -> Source:
    """A revision (None: the one in force), and what the settings say, as of now."""

    async def work(settings: Settings, store: Store) -> Source:
        # imported here, so that the other commands of policy start sooner
        from ccari.app.installed import installed  # noqa: PLC0415

        applied = await applied_revision(store, revision)
        return Source(applied, await applied.read(), installed(settings), datetime.now(UTC))

    return with_store(context, work)
