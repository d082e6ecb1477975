"""The gate of a running service, on a policy that is changed under it."""

from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.desk import Desk, Order
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal
from ccari.gating.terms import Terms
from ccari.policy import notices
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block
from ccari.policy.messages import Direction
from ccari.policy.parties import Controller
from ccari.policy.suppression import Reason
from ccari.ports.sounds import Script, Sound
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.secrets import SecretStore
from tests.unit.store.made import ASTERISK, NUMBER, POLICY

CHANGED = POLICY.replace('"contract"', '"legitimate_interest"')
OTHER = POLICY.replace('"renewals"', '"surveys"')


class Silent:
    """Prompts of a campaign that says nothing."""

    def scripts(self, controller: Controller, campaign: Campaign) -> dict[str, Script]:
        return {campaign.language: Script({}, dict.fromkeys(notices.wordings(campaign), "1"))}

    def common(self, prompt: str, language: str) -> Sound:
        raise NotImplementedError


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    """A service that has read the first revision; what it would dial with is not there."""
    book, secrets = Book(store.policies), SecretStore(tmp_path)
    await book.reload()
    secrets.create("acme")
    absent: Any = None
    return Desk(absent, ASTERISK, store.calls, secrets, book, cast("Any", Silent()), absent, absent)


def gatekeeper(desk: Desk, campaign: str = "renewals") -> Gatekeeper:
    call, order = uuid4(), Order(Direction.OUTBOUND, NUMBER.e164, campaign, "channel", "anna")
    return Gatekeeper(order, call, desk, Journal(call, "anna"))


async def ask(desk: Desk, campaign: str = "renewals") -> Terms | Block:
    return await gatekeeper(desk, campaign).ask()


async def test_a_call_is_made_under_a_policy_that_was_replaced(desk: Desk, store: Store) -> None:
    before = await ask(desk)
    await store.policies.apply(CHANGED, "anna")
    after = await ask(desk)
    assert isinstance(before, Terms)
    assert isinstance(after, Terms)
    assert (before.opened.revision, before.campaign.legal_basis) == (1, LegalBasis.CONTRACT)
    assert (after.opened.revision, after.campaign.legal_basis) == (2, LegalBasis.LEGITIMATE_INTEREST)
    shown = await store.records.show_call(after.opened.id)
    assert (shown.call["revision"], shown.call["legal_basis"]) == (2, "legitimate_interest")
    assert desk.book.revision == 2


async def test_a_campaign_that_was_declared_a_moment_ago_is_unknown_or_one_that_was_dropped_is_called(
    desk: Desk, store: Store
) -> None:
    assert await ask(desk, "surveys") is Block.UNKNOWN_CAMPAIGN
    await store.policies.apply(OTHER, "anna")
    assert isinstance(await ask(desk, "surveys"), Terms)
    assert await ask(desk) is Block.UNKNOWN_CAMPAIGN
    await store.policies.apply(POLICY, "anna")
    # the service knows the second revision, in which the campaign is; the third drops it
    assert await ask(desk, "surveys") is Block.UNKNOWN_CAMPAIGN


async def test_a_bar_under_a_secret_that_was_made_since_the_gate_does_not_stop_the_dial(
    desk: Desk, store: Store, tmp_path: Path
) -> None:
    asked = gatekeeper(desk)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    elsewhere = SecretStore(tmp_path)
    assert elsewhere.rotate("acme") == 2
    await store.suppressions.add("acme", elsewhere.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")
    assert await asked.spend_token(terms) is Block.SUPPRESSED_ERASURE


async def test_the_token_of_a_call_that_may_be_made_is_kept_back_or_spent_twice(desk: Desk) -> None:
    asked = gatekeeper(desk)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    assert [await asked.spend_token(terms) for _ in range(2)] == [None, Block.TOKEN_SPENT]
