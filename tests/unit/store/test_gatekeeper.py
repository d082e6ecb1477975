"""The gate of a running service, on a policy that is changed under it."""

from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids
from ccari.calls.gatekeeper import Gatekeeper, Terms
from ccari.calls.journal import Journal
from ccari.policy.bases import LegalBasis
from ccari.policy.declaration import Campaign, Controller
from ccari.policy.gate import Block
from ccari.ports import Script, Sound
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.secrets import SecretStore
from tests.unit.store.made import ASTERISK, NUMBER, POLICY

CHANGED = POLICY.replace('"contract"', '"legitimate_interest"')
OTHER = POLICY.replace('"renewals"', '"surveys"')


class Silent:
    """Prompts of a campaign that says nothing."""

    def script(self, controller: Controller, campaign: Campaign) -> Script:
        return Script({}, "first", "repeat", "information")

    def common(self, prompt: str, language: str) -> Sound:
        raise NotImplementedError


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    """A service that has read the first revision; what it would dial with is not there."""
    book, secrets = Book(store.policies), SecretStore(tmp_path)
    await book.reload()
    secrets.create("acme")
    absent: Any = None
    return Desk(absent, ASTERISK, store.calls, secrets, book, cast("Any", Silent()), absent)


async def ask(desk: Desk, campaign: str = "renewals") -> Terms | Block:
    ids = Ids(uuid4(), "anna", uuid4())
    return await Gatekeeper(
        Order(NUMBER.e164, campaign, "channel", "anna"), ids, desk, Journal(ids.call, "anna")
    ).ask()


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
