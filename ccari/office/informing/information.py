"""Draws up what a controller must tell the people whom it calls, and who call it: Articles 13 and 14."""

from dataclasses import asdict
from typing import Any

from ccari.office.processing.record import Source, addresses
from ccari.policy import informing
from ccari.policy.campaign import Campaign
from ccari.policy.informing import ARTICLES, Gap, Information, Processing
from ccari.policy.parties import Controller

FORMAT = "ccari information for data subjects 1"


def facts(source: Source, controller: Controller, campaign: Campaign | None = None) -> Information:
    """What the policy amounts to, and what is missing. ``campaign``: for the people of this one alone; None: of all of the controller's.

    Who works at the controller's own address, it knows; at a webhook's, it must be told.
    """
    sent = addresses(controller, source.installed.webhooks)
    hosts = [each["host"] for each in sent if each["events"] is not None]
    policy = source.policy
    if campaign is not None:
        policy = policy.model_copy(update={"campaigns": (campaign,)})
    return informing.information(policy, controller, hosts)


def information(source: Source, controller: Controller, campaign: Campaign | None = None) -> dict[str, Any]:
    """The same for programs: the ``processing``, whom the policy names as ``recipients``, the ``objections`` apart from the other ``rights``, what
    the keys of each menu do, and the ``gaps``, each with the ``articles`` that demand it.
    """
    found = facts(source, controller, campaign)
    return {
        "format": FORMAT,
        "made_at": source.made_at,
        "revision": {"number": source.applied.number, "applied_at": source.applied.applied_at, "sha256": source.applied.sha256},
        "controller": controller.model_dump(include={"id", "name", "country", "dpo"}),
        "campaign": None if campaign is None else campaign.id,
        "processing": [_told(each) for each in found.processing],
        "recipients": [each.model_dump() for each in controller.recipients],
        "objections": found.objections,
        "rights": found.rights,
        "menus": [asdict(each) for each in found.menus],
        "gaps": [_gap(each) for each in found.gaps],
    }  # fmt: skip


def _told(processing: Processing) -> dict[str, Any]:
    """An activity as in the record, but with nothing of staff."""
    told = asdict(processing)
    activity: dict[str, Any] = told.pop("activity")
    del activity["subjects"], told["gaps"]
    return activity | told


def _gap(gap: Gap) -> dict[str, Any]:
    return asdict(gap) | {"articles": ARTICLES[gap.missing]}
