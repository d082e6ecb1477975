"""Draws up the record of processing activities: of one controller, Art 30(1), or of the centre that is the processor of several, Art 30(2)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, get_args

from ccari.policy.activities import activities
from ccari.policy.declaration import Policy
from ccari.policy.parties import Controller
from ccari.ports.policies import AppliedPolicy
from ccari.ports.webhooks import Told

FORMAT = "ccari record of processing 1"
#: The languages of supervisory authorities in which it can be read.
RecordLanguage = Literal["en", "pl", "de"]
RECORD_LANGUAGES: tuple[RecordLanguage, ...] = get_args(RecordLanguage)


class Measure(StrEnum):
    """A technical or organisational measure of security, Art 30(1)(g) and 32(1)."""

    DIGESTS = "digests"
    ENCRYPTED = "encrypted"
    ROLES = "roles"
    LOOKS = "looks"
    SEALED = "sealed"
    TIME_STAMPED = "time_stamped"
    GATE = "gate"
    DELETION = "deletion"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of the centre's own: the ``host`` of its address, and the ``events`` it is told of. ``controllers``: only theirs; None: all."""

    host: str
    events: tuple[Told, ...]
    controllers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """What no policy says: the ``measures`` that this installation takes, and the ``webhooks`` of its settings."""

    measures: Sequence[Measure]
    webhooks: Sequence[Webhook] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """What the record is drawn up from, and when. ``policy``: what the revision ``applied`` declares, or the part of it that the reader may see."""

    applied: AppliedPolicy
    policy: Policy
    installed: Installed
    made_at: datetime


def measures(*, encrypted: bool, time_stamped: bool) -> list[Measure]:
    """The measures: whether recordings are ``encrypted``, and seals ``time_stamped``, is a setting; the others are always taken."""
    lacking = {Measure.ENCRYPTED: not encrypted, Measure.TIME_STAMPED: not time_stamped}
    return [each for each in Measure if not lacking.get(each)]


def record(source: Source, controller: Controller | None) -> dict[str, Any]:
    """The record of a controller: its ``activities``, its ``recipients`` with what a transfer to a third country rests on, the ``addresses`` that
    ccari sends to by itself, and the ``measures``.

    None: the record of the processor, which has, of each of the ``controllers``, the kinds of processing, their purposes, and the transfers to third
    countries.
    """
    revision = {
        "number": source.applied.number,
        "applied_at": source.applied.applied_at,
        "sha256": source.applied.sha256,
    }
    headed = {
        "format": FORMAT,
        "made_at": source.made_at,
        "revision": revision,
        "measures": list(source.installed.measures),
    }
    if controller is None:
        return headed | {
            "controllers": [_on_behalf_of(each, source.policy) for each in source.policy.controllers]
        }
    return headed | {
        "controller": _contact(controller),
        "activities": [asdict(each) for each in activities(source.policy, controller)],
        "recipients": [each.model_dump() for each in controller.recipients],
        "addresses": addresses(controller, source.installed.webhooks),
    }


def addresses(controller: Controller, webhooks: Sequence[Webhook]) -> list[dict[str, Any]]:
    """Where ccari itself sends data of the controller's, Art 30(1)(d): its requests to the controller, events to webhooks. ``host``: None for a folder;
    ``events``: None for requests, each step of which is sent, with the whole number. Who works there, no setting says.
    """
    told: list[dict[str, Any]] = []
    if controller.forward is not None:
        if controller.forward.url is not None:
            told.append({"host": controller.forward.url.host, "events": None})
        if controller.forward.folder is not None:
            told.append({"host": None, "events": None})
    told += [
        {"host": each.host, "events": list(each.events)}
        for each in webhooks
        if each.controllers is None or controller.id in each.controllers
    ]
    return told


def _contact(controller: Controller) -> dict[str, Any]:
    return controller.model_dump(include={"id", "name", "country", "dpo"})


def _on_behalf_of(controller: Controller, policy: Policy) -> dict[str, Any]:
    found = activities(policy, controller)
    kinds = dict.fromkeys(each.kind for each in found)
    return _contact(controller) | {
        "processing": [
            {
                "kind": kind,
                "purposes": list(dict.fromkeys(each.purpose for each in found if each.kind is kind and each.purpose)),
            }
            for kind in kinds
        ],
        "transfers": [each.model_dump() for each in controller.recipients if each.abroad],
    }  # fmt: skip
