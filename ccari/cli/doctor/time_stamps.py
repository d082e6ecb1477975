"""Checks the authority that time-stamps seals, if one is set: whether its answers can be verified, and whether they arrive."""

from collections.abc import Iterator
from datetime import timedelta

from ccari.cli.doctor.findings import Finding, ok, warning
from ccari.config import Settings
from ccari.policy.sentences import in_utc
from ccari.recordings.evidence.authority import authority
from ccari.store.opened import Store

CHECK = "time stamps"
#: How many of the configured intervals may pass before a time stamp counts as missing.
_LATE = 2


def authority_of(settings: Settings) -> Iterator[Finding]:
    """The authority's certificates, and the password for it. Raises ConfigError if they cannot be read."""
    section = settings.time_stamps
    if section.certificates is None:
        return
    authority(section.certificates)
    section.password()
    yield ok(CHECK, f"can be checked with {section.certificates}")


async def late(settings: Settings, store: Store) -> list[Finding]:
    """Whether the newest seal has waited too long. Raises StoreError."""
    section = settings.time_stamps
    if section.url is None:
        return []
    newest = await store.time_stamps.newest()
    if await store.time_stamps.due(_LATE * timedelta(minutes=section.every_minutes)) is None:
        return []
    since = f"since {in_utc(newest)}" if newest else "yet"
    return [warning(CHECK, f"no seal has had one {since}: until then, whoever has the evidence key could date journals back",
                    "ccari evidence stamp says what is wrong; a running service tries each minute: time_stamps_stalled in its log")]  # fmt: skip
