"""Who has looked at a recording or a person's data, when, at what and why: on record before it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Looked(StrEnum):
    """What was done, by its name in the record."""

    RECORDING_PLAYED = "recording_played"
    RECORDING_FETCHED = "recording_fetched"
    RECORDINGS_VERIFIED = "recordings_verified"
    SUBJECT_EXPORTED = "subject_exported"
    SUBJECT_LOOKED_UP = "subject_looked_up"
    SUBJECT_ERASED = "subject_erased"
    NUMBER_CHECKED = "number_checked"
    NUMBER_GATED = "number_gated"
    REQUEST_SHOWN = "request_shown"
    CALL_SHOWN = "call_shown"
    EVIDENCE_EXPORTED = "evidence_exported"
    LIST_IMPORTED = "list_imported"
    LIST_SCRUBBED = "list_scrubbed"
    BARS_EXPORTED = "bars_exported"
    REQUESTS_EXPORTED = "requests_exported"


@dataclass(frozen=True, slots=True)
class Access:
    """One look. ``who``: ``cli:anna``, ``token:crm``. ``at_what``: by name; of a person the keyed digest and with which
    controller, never the number.
    """

    looked: Looked
    who: str
    at_what: Mapping[str, str]
    why: str = ""


@dataclass(frozen=True, slots=True)
class WantedAccesses:
    who: str | None = None
    looked: Looked | None = None
    since: datetime | None = None


class AccessLog(Protocol):
    async def note(self, access: Access) -> None:
        """Put it on record. Raises StoreError: then nothing may be shown."""
        ...
