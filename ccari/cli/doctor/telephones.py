"""Checks how Asterisk's PJSIP telephones and trunks are set, where a setting leads calls past the gate, or hides from ccari who listens."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
import orjson

from ccari.calls.transport import Credentials
from ccari.cli.doctor.ari import asked_of
from ccari.cli.doctor.findings import Finding, ok, warning
from ccari.counting import counted
from ccari.gating.labels import label
from ccari.policy.declaration import Policy

CHECK = "asterisk telephones"
#: The first that a REFER with ``Refer-Sub: false`` does not crash (asterisk#2021).
_TAKES_ANY_REFER = (22, 11)
#: So many are named; of a call centre's telephones all have the same setting.
_NAMED = 3
#: So many are looked at, some thousand of them in two seconds.
_LOOKED_AT = 5_000

#: The settings of an endpoint, by their names in ``pjsip.conf``.
Endpoint = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Trap:
    """A setting that calls fare ill with: what it does, and what to set in its place."""

    is_in: Callable[[Endpoint], bool]
    does: str
    instead: str


_TRAPS = (
    _Trap(
        lambda each: each.get("redirect_method") == "uri_pjsip",
        "redirect_method = uri_pjsip has Asterisk itself call whomever a redirection names, past the gate",
        "remove redirect_method",
    ),
    _Trap(
        lambda each: not each.get("auth") and "username" in each.get("identify_by", ""),
        "whoever calls under its name is let in without a password",
        "set identify_by = ip",
    ),
    _Trap(
        lambda each: each.get("suppress_moh_on_sendonly") == "true",
        "suppress_moh_on_sendonly = yes hides that somebody has put the call on hold, so that a notice counts that nobody hears",
        "remove suppress_moh_on_sendonly",
    ),
    _Trap(
        lambda each: each.get("fax_detect") == "true",
        "fax_detect = yes leads whoever sends a fax's tone out of ccari",
        "remove fax_detect",
    ),
)
_CRASHES = _Trap(
    lambda each: each.get("allow_transfer") == "true",
    "no campaign has transfer, and a transfer (REFER) with Refer-Sub: false crashes Asterisk before 22.11",
    "set allow_transfer = no",
)


async def telephones(
    session: aiohttp.ClientSession, credentials: Credentials, version: str, policy: Policy
) -> list[Finding]:
    """A warning that names each trap, and who is in it. Raises CcariError if Asterisk cannot be reached, or refuses."""
    endpoints: dict[str, Endpoint] = {}
    for name in (await _names(session, credentials))[:_LOOKED_AT]:
        settings = await _settings(session, credentials, name)
        if settings is not None:
            endpoints[name] = settings
    traps = [*_TRAPS, *_of_version(version, policy)]
    trapped = [(trap, named) for trap in traps if (named := _named(endpoints, trap))]
    if not trapped:
        count = counted(len(endpoints), "PJSIP endpoint")
        return [ok(CHECK, f"{count}: no setting leads calls past the gate, or hides who listens")]
    found = "; ".join(f"{named}: {trap.does}" for trap, named in trapped)
    instead = "; ".join(f"{trap.instead} at {named}" for trap, named in trapped)
    return [warning(CHECK, found, f"in pjsip.conf {instead}; then: asterisk -rx 'pjsip reload'")]


def _of_version(version: str, policy: Policy) -> Iterator[_Trap]:
    is_crashed = tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _TAKES_ANY_REFER
    if is_crashed and not any(each.transfer for each in policy.campaigns):
        yield _CRASHES


def _named(endpoints: Mapping[str, Endpoint], trap: _Trap) -> str:
    """The telephones that are in it, without what could be a number; empty if there are none."""
    names = [label(name) for name, settings in endpoints.items() if trap.is_in(settings)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


async def _names(session: aiohttp.ClientSession, credentials: Credentials) -> list[str]:
    """None without PJSIP."""
    async with asked_of(session, credentials, "endpoints/PJSIP") as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            return []
        reply.raise_for_status()
        return [each["resource"] for each in orjson.loads(await reply.read())]


async def _settings(session: aiohttp.ClientSession, credentials: Credentials, name: str) -> Endpoint | None:
    """As Asterisk runs with them; None if the endpoint has gone."""
    what = f"asterisk/config/dynamic/res_pjsip/endpoint/{quote(name, safe='')}"
    async with asked_of(session, credentials, what) as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        reply.raise_for_status()
        return {each["attribute"]: each["value"] for each in orjson.loads(await reply.read())}
