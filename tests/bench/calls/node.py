"""The call controlled by Node's ari-client, in one process: javascript/flow.js."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.calls.dialplan import with_cdr
from tests.bench.calls.exchange import Exchange, Wanted
from tests.bench.calls.place import Place
from tests.bench.calls.way import Controller, NotHereError, program
from tests.lab.errors import LabError
from tests.lab.root import output

HERE = Path(__file__).parent / "javascript"
FETCH_SECONDS = 120.0


class Node:
    name = "node"
    does = "no look-up, CDR by cdr_pgsql"

    async def fetch(self, place: Place) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise NotHereError("there is no node or no npm on this machine")
        folder = place.folder / HERE.name
        shutil.copytree(HERE, folder)
        try:
            await output(
                *("npm", "ci", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"),
                seconds=FETCH_SECONDS,
            )
        except LabError as error:
            raise NotHereError(f"npm does not give ari-client: {error}") from None

    async def wanted(self, place: Place) -> Wanted:
        return await with_cdr(place)

    @asynccontextmanager
    async def controlling(
        self, place: Place, exchange: Exchange, wanted: Wanted
    ) -> AsyncIterator[Controller]:
        pbx = exchange.pbx
        with (place.folder / "node.err").open("ab") as complaints:
            async with program(
                *(
                    "node",
                    "flow.js",
                    pbx.ari_url,
                    pbx.ari_user,
                    str(pbx.ari_password_file),
                    str(wanted.notice),
                ),
                cwd=place.folder / HERE.name,
                complaints=complaints,
            ) as pid:
                yield Controller((pid,), pbx.spool)
