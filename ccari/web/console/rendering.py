"""Rendering the console's templates, and serving the style sheet, scripts and pictures that they use."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ccari.office import moments
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declaration import Policy
from ccari.web.console.words import LANGUAGES, Words

_HERE = resources.files("ccari.web.console")
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

#: Browsers load only our own files, send forms only to us, and show our pages in no frame.
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
#: Journal fields that are timestamps, in UTC in ISO 8601 format.
_MOMENTS = frozenset({"delete_at", "pressed_at"})
_DIGESTS = frozenset({"sounds", "sha256", "file_sha256", "policy_sha256"})


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file. ``version``: a hash of its content, so that browsers may cache it for ever."""

    body: bytes
    kind: str
    version: str


def _assets() -> dict[str, Asset]:
    assets = {}
    for file in _HERE.joinpath("static").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            body = file.read_bytes()
            assets[file.name] = Asset(body, kind, sha256(body).hexdigest()[:12])
    return assets


ASSETS = _assets()


async def asset(request: web.Request) -> web.Response:
    """A static file. A URL with its version may be cached for ever."""
    file = ASSETS.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    caching = "public, max-age=31536000, immutable" if request.query.get("v") == file.version else "no-cache"
    return web.Response(
        body=file.body, content_type=file.kind, charset="utf-8",
        headers={"cache-control": caching, "x-content-type-options": "nosniff"},
    )  # fmt: skip


def _asset_url(name: str) -> str:
    return f"/console/static/{name}?v={ASSETS[name].version}"


_ENVIRONMENT = Environment(
    loader=PackageLoader("ccari.web.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["said_of"] = lambda english, words: words.said_of(english)
_ENVIRONMENT.globals.update(asset=_asset_url, languages=LANGUAGES)


def page(template: str, words: Words, policy: Policy | None, fields: Mapping[str, Any]) -> str:
    """A page, with all values escaped. Times are in the controllers' time zones, and the page says which."""
    zones = {each.id: TIME_ZONES[each.country] for each in policy.controllers} if policy else {}
    return _ENVIRONMENT.get_template(template).render(
        t=words, term=words.term, actor=words.actor, origin=words.origin, language=words.language, today=datetime.now(UTC), when=_when(zones), told=_told(words, zones),
        zone_of=lambda controller: zones.get(controller or "", ""), length=_length,
        clocks=_clocks(zones), common=_common(zones), **fields,
    )  # fmt: skip


def _when(zones: Mapping[str, str]) -> Callable[..., str]:
    """A template function: a moment as text, in a controller's time zone. ``zones``: time zones, by controller. If they differ, it says which
    clock applies, as most lists do not say which controller's call or recording it is.
    """
    differ = len(set(zones.values())) > 1

    def when(moment: datetime | None, controller: str | None = None, *, seconds: bool = False) -> str:
        if moment is None:
            return "–"
        zone = zones.get(controller or "", "UTC")
        return moments.shown(moment, ZoneInfo(zone), seconds=seconds, named=differ or zone == "UTC")

    return when


def _told(words: Words, zones: Mapping[str, str]) -> Callable[..., list[str]]:
    """A template function: the fields of a journal entry as texts, with timestamps in the time zone of the call's controller. Digests come
    last: a notice has one for each sound, and nobody reads them first.
    """
    when = _when(zones)

    def told(fields: Mapping[str, str], controller: str | None) -> list[str]:
        shown = {name: value for name, value in fields.items() if value != ""}
        for name in _MOMENTS & shown.keys():
            # a tampered journal may have something else than a timestamp here: show it as it is
            with contextlib.suppress(ValueError, OverflowError):
                shown[name] = when(datetime.fromisoformat(shown[name]), controller, seconds=True)
        return [words.detail(name, shown[name]) for name in sorted(shown, key=_DIGESTS.__contains__)]

    return told


def _common(zones: Mapping[str, str]) -> str | None:
    """Any controller, if all have the same time zone, which then also applies to times that concern no controller; else None."""
    return next(iter(zones)) if len(set(zones.values())) == 1 else None


def _clocks(zones: Mapping[str, str]) -> str:
    """The time zones used on a page, with the controllers of each."""
    if _common(zones) is not None:
        return next(iter(zones.values()))
    controllers_of = {zone: [name for name, its in zones.items() if its == zone] for zone in zones.values()}
    return ", ".join(f"{zone} ({', '.join(names)})" for zone, names in controllers_of.items()) or "UTC"


def _length(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    seconds = milliseconds // 1000
    return f"{seconds // 60}:{seconds % 60:02}"
