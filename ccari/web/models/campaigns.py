"""Campaigns, and the revisions of the policy."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from ccari.policy.campaign import Campaign
from ccari.policy.declared import Identifier
from ccari.policy.parties import Controller, Register
from ccari.web.models.base import Given, Told
from ccari.web.models.fields import MOST_ROWS, NextId

RevisionNumber = Annotated[int, Field(ge=1, lt=2**31)]
OfRevision = Annotated[
    RevisionNumber | None, Field(description="A revision of the policy; else the one in force.")
]


class CampaignPath(Given):
    id: Identifier


class CampaignsQuery(Given):
    controller: Identifier | None = None
    revision: OfRevision = None


class CampaignQuery(Given):
    revision: OfRevision = None


class CampaignList(Told):
    revision: int
    items: tuple[Campaign, ...]


class CampaignShown(Told):
    """``registers``: those that the campaign heeds."""

    revision: int
    campaign: Campaign
    controller: Controller
    registers: tuple[Register, ...]


class RevisionPath(Given):
    number: RevisionNumber


class RevisionsQuery(Given):
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100
    after: Annotated[RevisionNumber | None, Field(description="`next` of the page before.")] = None


class RevisionRow(Told):
    """``sha256``: of the file as it was applied."""

    revision: int
    applied_at: datetime
    applied_by: str
    sha256: str


class RevisionPage(Told):
    items: tuple[RevisionRow, ...]
    next: NextId


class RevisionShown(RevisionRow):
    """``document``: the file itself; null for a token that does not see all controllers. ``accesses_days``: for how long the record of
    accesses, which is one for all controllers, tells who looked at what.
    """

    document: str | None
    accesses_days: int
    controllers: tuple[Controller, ...]
    registers: tuple[Register, ...]
    campaigns: tuple[Campaign, ...]
