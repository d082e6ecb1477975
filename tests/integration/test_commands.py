"""Commands beside a running service."""

import pytest

from tests.integration.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_running_service_leaves_a_migration_out(service: Service) -> None:
    migrations = await service.json("db", "status")
    assert migrations
    assert {each["applied"] for each in migrations} == {"yes"}


async def test_the_policy_in_force_is_shown_otherwise_than_it_was_applied(service: Service) -> None:
    shown = await service.json("policy", "show")
    assert shown["revision"] == 1
    campaigns = ["renewals", "offers", "strict", "brief", "survey", "orders", "listed"]
    assert [each["id"] for each in shown["campaigns"]] == campaigns
    assert shown["campaigns"][0]["keys"]["7"] == "erasure"
