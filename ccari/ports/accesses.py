"""The record of accesses: who looked at which recording or person's data, when and why. It is written before
the data are shown. It also has what people decided by hand and no journal tells: bars, holds, policies and
tokens, each in the transaction that makes it so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ccari.ports.keying import Digests


class Looked(StrEnum):
    """What was done, as the record names it."""

    RECORDING_PLAYED = "recording_played"
    RECORDING_FETCHED = "recording_fetched"
    RECORDINGS_VERIFIED = "recordings_verified"
    SUBJECT_EXPORTED = "subject_exported"
    DOSSIER_EXPORTED = "dossier_exported"
    SUBJECT_LOOKED_UP = "subject_looked_up"
    SUBJECT_ERASED = "subject_erased"
    NUMBER_CHECKED = "number_checked"
    NUMBER_GATED = "number_gated"
    REQUEST_SHOWN = "request_shown"
    CALL_SHOWN = "call_shown"
    EVIDENCE_EXPORTED = "evidence_exported"
    NUMBER_BARRED = "number_barred"
    BARS_LIFTED = "bars_lifted"
    CONSENTS_WITHDRAWN = "consents_withdrawn"
    LIST_IMPORTED = "list_imported"
    LIST_SCRUBBED = "list_scrubbed"
    BARS_EXPORTED = "bars_exported"
    REQUESTS_EXPORTED = "requests_exported"
    CONTROLLER_DELETION_BEGUN = "controller_deletion_begun"
    CONTROLLER_DELETED = "controller_deleted"
    POLICY_APPLIED = "policy_applied"
    TOKEN_CREATED = "token_created"  # noqa: S105 - what was done
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - what was done
    HOLD_PLACED = "hold_placed"
    HOLD_RELEASED = "hold_released"


@dataclass(frozen=True, slots=True)
class Access:
    """One access. ``who``: ``cli:anna`` or ``token:crm``, say. ``target``: named fields; for a person, the
    keyed digest and the controller, never the number.
    """

    looked: Looked
    who: str
    target: Mapping[str, str]
    why: str = ""


def whose_number(controller: str, digests: Digests) -> dict[str, str]:
    """The ``target`` of an access to a person's data: the keyed digest of the number, never the number."""
    return {"controller": controller, "digest": digests.newest.hex()}


@dataclass(frozen=True, slots=True)
class WantedAccesses:
    """Which accesses to list: each field given narrows the list. ``of``: the id of a call or a recording, or
    a request's reference. ``known_as``: the digests of a person's number, by controller; also lists accesses
    to their calls, recordings and requests.
    """

    who: str | None = None
    looked: Looked | None = None
    since: datetime | None = None
    of: str | None = None
    known_as: Mapping[str, Digests] | None = None


class AccessLog(Protocol):
    async def note(self, access: Access) -> None:
        """Put the access on record. Raises StoreError: then nothing may be shown."""
        ...
