"""Campaigns, and the revisions of the policy, over HTTP."""

from http import HTTPStatus
from typing import Protocol

from ccari.errors import InputError, UnsoundPolicyError
from ccari.office.naming import the_controller
from ccari.policy.declaration import Policy
from ccari.ports.policies import AppliedPolicy, PolicyRecords
from ccari.web.front import Ask, Ports, Reply
from ccari.web.models.campaigns import (
    CampaignList,
    CampaignPath,
    CampaignQuery,
    CampaignShown,
    CampaignsQuery,
    RevisionPage,
    RevisionPath,
    RevisionShown,
    RevisionsQuery,
)
from ccari.web.paging import cut
from ccari.web.problems import Refusal, not_there


class PolicyPorts(Ports, Protocol):
    @property
    def policies(self) -> PolicyRecords: ...


async def list_campaigns(ask: Ask[PolicyPorts]) -> Reply[CampaignList]:
    """The campaigns of the policy in force, or of an older revision."""
    query: CampaignsQuery = ask.query
    number, policy = await _declared(ask, query.revision)
    controller = the_controller(policy, query.controller).id if query.controller is not None else None
    items = [campaign for campaign in policy.campaigns if controller in {None, campaign.controller}]
    return Reply(CampaignList.model_construct(revision=number, items=tuple(items)))


async def show(ask: Ask[PolicyPorts]) -> Reply[CampaignShown]:
    """One campaign as it is declared, with its controller and the registers that it heeds."""
    path: CampaignPath = ask.path
    query: CampaignQuery = ask.query
    number, policy = await _declared(ask, query.revision)
    campaign = policy.campaign(path.id)
    if campaign is None:
        raise not_there()
    return Reply(
        CampaignShown.model_construct(
            revision=number, campaign=campaign, controller=policy.controller_of(campaign),
            registers=policy.registers_of(campaign),
        )
    )  # fmt: skip


async def list_revisions(ask: Ask[PolicyPorts]) -> Reply[RevisionPage]:
    """Every revision that was applied, the newest first. The newest is in force."""
    query: RevisionsQuery = ask.query
    rows = [
        row
        for row in await ask.front.policies.revisions()
        if query.after is None or row["revision"] < query.after
    ]
    page, then = cut(rows, query.limit, lambda row: row["revision"])
    return Reply(RevisionPage.model_validate({"items": page, "next": then}))


async def show_revision(ask: Ask[PolicyPorts]) -> Reply[RevisionShown]:
    """One revision: who applied it, when, and what it declares."""
    path: RevisionPath = ask.path
    applied, policy = await seen_revision(ask, path.number)
    return Reply(
        RevisionShown.model_construct(
            revision=applied.number, applied_at=applied.applied_at, applied_by=applied.applied_by, sha256=applied.sha256,
            document=applied.document if ask.bearer.controllers is None else None,
            accesses_days=policy.accesses_days, controllers=policy.controllers, registers=policy.registers, campaigns=policy.campaigns,
        )
    )  # fmt: skip


async def seen_revision(ask: Ask[PolicyPorts], number: int) -> tuple[AppliedPolicy, Policy]:
    """A revision, and the part of it that the bearer may see. Raises Refusal: 404, or 409 if this ccari refuses the revision."""
    applied = await ask.front.policies.applied(number)
    if applied is None:
        raise not_there()
    return applied, await _sound(ask, applied)


async def _declared(ask: Ask[PolicyPorts], revision: int | None) -> tuple[int, Policy]:
    """A revision, or the one in force, with its number; without anything that the bearer may not see."""
    if revision is None:
        policy, number = await ask.policy_in_force(), ask.front.book.revision
        if number is None:
            raise AssertionError("a policy in force is a revision")
        return number, policy
    applied = await ask.front.policies.applied(revision)
    if applied is None:
        raise InputError("revision", "there is no such revision")
    return revision, await _sound(ask, applied)


async def _sound(ask: Ask[PolicyPorts], applied: AppliedPolicy) -> Policy:
    """The part of a revision that the bearer may see. Raises Refusal (409) if this ccari refuses the revision; the fault is
    named only to a bearer who sees all controllers.
    """
    try:
        return ask.seen(await applied.read())
    except UnsoundPolicyError as error:
        raise Refusal(HTTPStatus.CONFLICT, str(error) if ask.controllers is None else error.words) from None
