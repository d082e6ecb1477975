"""Checks the settings of Asterisk's PJSIP telephones and trunks for any that lead calls past the gate, or hide from ccari who listens."""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
import orjson

from ccari.calls.identity import identify
from ccari.calls.transport import Credentials
from ccari.cli.doctor.ari import asked_of, session_with
from ccari.cli.doctor.findings import Finding, ok, warning
from ccari.config import Settings
from ccari.counting import counted
from ccari.errors import CcariError
from ccari.gating.labels import label
from ccari.policy.declaration import Policy

CHECK = "asterisk telephones"
ADVICE = "see docs/pbx.md, Transfers and call pickup"
#: For all endpoints together; each is asked about separately.
LOOK_SECONDS = 10.0
#: For each major version of Asterisk, the first minor version that survives a REFER with ``Refer-Sub: false`` (asterisk#2021).
_TAKES_ANY_REFER = {22: 11, 23: 5}
#: How many are named: a call centre's telephones all have the same setting.
_NAMED = 3
#: The endpoint of callers without a name or address of their own.
_ANYBODY = "anonymous"

#: The settings of an endpoint, by their names in ``pjsip.conf``.
Endpoint = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Trap:
    """A setting that harms calls: its effect, and what to set instead."""

    is_in: Callable[[Endpoint], bool]
    does: str
    instead: str


def _has_password(endpoint: Endpoint) -> bool:
    """Telephones have a password; trunks are identified by their address."""
    return bool(endpoint.get("auth"))


_TRAPS = (
    _Trap(
        lambda each: each.get("redirect_method", "user") != "user",
        "redirect_method has Asterisk itself call whomever a redirection names, past the gate",
        "set redirect_method = user",
    ),
    _Trap(
        lambda each: not _has_password(each) and "username" in each.get("identify_by", ""),
        "whoever calls under its name is let in without a password",
        "set identify_by = ip, or give it auth if it is a telephone,",
    ),
    _Trap(
        lambda each: not _has_password(each) and each.get("allow_transfer") == "true",
        "a transfer (REFER) from a trunk dials past the gate",
        "set allow_transfer = no, if it is a trunk,",
    ),
    _Trap(
        lambda each: each.get("suppress_moh_on_sendonly") == "true",
        "suppress_moh_on_sendonly hides that somebody has put the call on hold, so that a notice counts that nobody hears",
        "remove suppress_moh_on_sendonly",
    ),
    _Trap(
        lambda each: each.get("fax_detect") == "true",
        "fax_detect leads whoever sends a fax's tone out of ccari",
        "remove fax_detect",
    ),
    _Trap(
        lambda each: each.get("webrtc") in {"yes", "true"} and each.get("rtp_timeout", "0") == "0",
        "whoever closes their browser stays on the line, and the other one is recorded with nobody",
        "set rtp_timeout = 30",
    ),
)
_CRASHES = _Trap(
    lambda each: _has_password(each) and each.get("allow_transfer") == "true",
    "no campaign has transfer, and a transfer (REFER) with Refer-Sub: false in a call of ccari's crashes this Asterisk",
    "set allow_transfer = no, if it takes calls of ccari's, or update Asterisk",
)


async def telephones(settings: Settings, policy: Policy) -> list[Finding]:
    """At most a warning, which names each trap and the endpoints that have it: calls work, and these settings are not ccari's own."""
    endpoints: dict[str, Endpoint] = {}
    names: list[str] = []
    try:
        async with asyncio.timeout(LOOK_SECONDS), session_with(settings) as (session, asked):
            version = (await identify(session, asked)).version
            names = await _names(session, asked)
            for name in names:
                found = await _settings(session, asked, name)
                if found is not None:
                    endpoints[name] = found
    except CcariError as error:
        return [warning(CHECK, f"could not be looked at: {error}", ADVICE)]
    except TimeoutError:
        if not endpoints:
            return [warning(CHECK, f"could not be looked at within {LOOK_SECONDS:.0f} s", ADVICE)]
    return [_told(endpoints, len(names), [*_TRAPS, *_of_version(version, policy)])]


def _told(endpoints: Mapping[str, Endpoint], there_are: int, traps: list[_Trap]) -> Finding:
    unseen = (
        f" ({there_are - len(endpoints)} more could not be looked at)" if there_are > len(endpoints) else ""
    )
    trapped = [(trap, named) for trap in traps if (named := _named(endpoints, trap))]
    if not trapped:
        count = counted(len(endpoints), "PJSIP endpoint")
        return ok(CHECK, f"{count} without a setting that calls are known to fare ill with{unseen}")
    found = "; ".join(f"{named}: {trap.does}" for trap, named in trapped)
    instead = "; ".join(f"{trap.instead} at {named}" for trap, named in trapped)
    return warning(CHECK, found + unseen,
                   f"in pjsip.conf, or what writes it: {instead}; then: asterisk -rx 'pjsip reload'")  # fmt: skip


def _of_version(version: str, policy: Policy) -> Iterator[_Trap]:
    major, minor = (int(part) for part in re.findall(r"\d+", version)[:2])
    if minor < _TAKES_ANY_REFER.get(major, 0) and not any(each.transfer for each in policy.campaigns):
        yield _CRASHES


def _named(endpoints: Mapping[str, Endpoint], trap: _Trap) -> str:
    """The endpoints that have it, trunks first, by their names without what could be a number; empty if there are none."""
    inside = sorted(
        (name for name, each in endpoints.items() if trap.is_in(each)),
        key=lambda name: _has_password(endpoints[name]),
    )
    more = f" and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
    return ", ".join(label(each) for each in inside[:_NAMED]) + more


async def _names(session: aiohttp.ClientSession, credentials: Credentials) -> list[str]:
    """None without PJSIP."""
    async with asked_of(session, credentials, "endpoints/PJSIP") as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            return []
        reply.raise_for_status()
        return [each["resource"] for each in orjson.loads(await reply.read()) if each["resource"] != _ANYBODY]


async def _settings(session: aiohttp.ClientSession, credentials: Credentials, name: str) -> Endpoint | None:
    """The settings that Asterisk runs with; None if it does not tell: the endpoint has gone, or has a value that is not UTF-8."""
    what = f"asterisk/config/dynamic/res_pjsip/endpoint/{quote(name, safe='')}"
    async with asked_of(session, credentials, what) as reply:
        if reply.status != HTTPStatus.OK:
            return None
        return {each["attribute"]: each["value"] for each in orjson.loads(await reply.read())}
