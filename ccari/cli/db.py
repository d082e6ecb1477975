"""``ccari db``: applies and lists the migrations of the database."""

import asyncio
import sys

import typer

from ccari import log
from ccari.cli.context import Json
from ccari.cli.output import as_list
from ccari.config import Settings
from ccari.errors import CcariError
from ccari.store.migrating import ANOTHER_VERSION, of_newer, open_database
from ccari.store.opened import database_dsn
from ccari.store.untouched import Schema, open_untouched, schema

app = typer.Typer(help="The database's schema. The service brings it up to date when it starts.")


@app.command()
def migrate(context: typer.Context) -> None:
    """Apply the migrations that have not been applied yet."""
    settings: Settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)

    async def run() -> None:
        async with database_dsn(settings) as dsn, open_database(dsn):
            pass

    asyncio.run(run())
    typer.echo("the schema is up to date")


@app.command()
def status(context: typer.Context, *, json: Json = False) -> None:
    """List the migrations. Exit status 0: all are applied; 1: some are not, or a newer ccari has applied others."""
    settings: Settings = context.obj.settings()
    log.configure("console", "warning", sys.stderr)

    async def run() -> Schema:
        async with database_dsn(settings) as dsn, open_untouched(dsn) as store:
            return await schema(store.database)

    found = asyncio.run(run())
    names = sorted([*found.applied, *found.pending, *found.unknown])
    rows = [{"migration": each, "applied": "no" if each in found.pending else "yes"} for each in names]
    as_list(rows, {"migration": "MIGRATION", "applied": "APPLIED"}, json=json, none="there are no migrations")
    if found.unknown:
        raise CcariError(f"{of_newer(found.unknown)}: {ANOTHER_VERSION}")
    raise typer.Exit(1 if found.pending else 0)
