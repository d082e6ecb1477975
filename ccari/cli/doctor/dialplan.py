"""Checks the dialplan by its global variables: ARI shows nothing else of it."""

from http import HTTPStatus

import aiohttp
import orjson

from ccari.calls.transport import Credentials
from ccari.cli.doctor.ari import asked_of
from ccari.cli.doctor.findings import Finding, ok, warning
from ccari.gating.labels import label
from ccari.gating.shipped import DIALPLAN, STASIS, VERSION

CHECK = "asterisk dialplan"
#: The global variable with the application's name, and the default if it is not set.
_APP, _DEFAULT_APP = "CCARI_APP", "ccari"
_RELOAD = "asterisk -rx 'dialplan reload'"


async def dialplan(session: aiohttp.ClientSession, credentials: Credentials) -> list[Finding]:
    """Whether calls are handed to our application, by the dialplan that came with this ccari. Raises CcariError."""
    app = await _global(session, credentials, _APP) or _DEFAULT_APP
    if app != credentials.app:
        return [warning(CHECK, f"the shipped dialplan hands calls to the application {label(app)}, and [asterisk] app is {credentials.app}",
                        f"set `{_APP} = {credentials.app}` in [globals] of extensions.conf, then: {_RELOAD}")]  # fmt: skip
    version = await _global(session, credentials, DIALPLAN)
    if not version:
        return [
            ok(CHECK, f"no call has come by an {STASIS} that tells its version since Asterisk was started")
        ]
    if version != VERSION:
        return [warning(CHECK, f"the last call came by version {label(version)} of {STASIS}, and this ccari comes with {VERSION}",
                        f"include that of this ccari, or copy it anew, then: {_RELOAD}; if that is done, this goes away with the next call")]  # fmt: skip
    return [ok(CHECK, f"the last call came by version {VERSION} of {STASIS}, with which this ccari comes")]


async def _global(session: aiohttp.ClientSession, credentials: Credentials, name: str) -> str:
    """Empty if it is not set."""
    async with asked_of(session, credentials, "asterisk/variable", variable=name) as reply:
        return str(orjson.loads(await reply.read()).get("value", "")) if reply.status == HTTPStatus.OK else ""
