"""Requests as they are shown: with masked numbers, and everything that an authority asks of one."""

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ccari.office import moments
from ccari.policy.bases import LegalBasis
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.declaration import Policy
from ccari.policy.numbers import mask
from ccari.policy.recording import RecordingMode, stops_recording, stored
from ccari.policy.rights import EFFECTS, Level, Right, refusable
from ccari.ports.forwarding import ForwardLog
from ccari.ports.requests import Clock, RequestRecord, RequestRegister

_ANY_WAY = frozenset(itertools.product(LegalBasis, RecordingMode))


def clock(policy: Policy | None) -> Clock:
    """The present moment, with the date of each of the policy's controllers."""
    return Clock(datetime.now(UTC), {each.id: each.country for each in policy.controllers} if policy else {})


def register_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the register, with its number masked and its level by name. ``refuse_by`` is kept only where
    there is a refusal.
    """
    told = {
        **row,
        "level": Level(row["level"]).name,
        "number": mask(row["number"]) if row["number"] else None,
    }
    if "refuse_by" in row and not refusable(Right(row["right"]), row["article"]):
        told["refuse_by"] = None
    return told


def forwarded_to(policy: Policy | None) -> Iterable[str]:
    """The controllers that their requests are forwarded to."""
    return [each.id for each in policy.controllers if each.forward is not None] if policy else []


async def dossier(
    reference: str,
    register: RequestRegister,
    forwards: ForwardLog,
    policy: Policy | None,
    *,
    whole: bool = False,
) -> dict[str, Any]:
    """One request: where it came from, its immediate effects, what it asks for, and what was done with it.

    ``whole``: with the full number. Raises RequestError if there is no such request, and StoreError.
    """
    record = await register.show(reference)
    controller = policy.controller(record.request["controller"]) if policy else None
    request, right = record.request, Right(record.request["right"])
    effect, recorded = EFFECTS[right], _recorded(record)
    zone = TIME_ZONES[controller.country] if controller else "UTC"
    return {
        **register_row(request),
        **({"number": request["number"]} if whole else {}),
        "digest": request["digest"].hex() if request["digest"] else None,
        "received_local": f"{moments.shown(request['received_at'], ZoneInfo(zone))} {zone}",
        "effect": {
            "suppression": effect.suppress,
            # if the call was not recorded, in every way that there is
            "stops_recording": all(stops_recording(right, *each) for each in recorded or _ANY_WAY),
            "stored_recordings": stored(right, recorded),
            "identity_to_fulfil": effect.fulfil_at.name,
            "refusable": refusable(right, request["article"]),
        },
        "suppressions": record.bars,
        "recordings": record.recordings,
        "history": [{**each, "level": Level(each["level"]).name} for each in record.history],
        "fault": record.fault,
        "forwards": await forwards.of(reference, forwarded_to(policy)),
    }


def _recorded(record: RequestRecord) -> set[tuple[LegalBasis, RecordingMode]]:
    """How the call that the request was made in was recorded, if it was."""
    return {(LegalBasis(each["legal_basis"]), RecordingMode(each["mode"])) for each in record.recordings}
