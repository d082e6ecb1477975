"""Commands beside a running service."""

from pathlib import Path

import pytest

from tests.integration.conftest import POLICY
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


async def test_a_policy_cannot_be_checked_while_the_service_runs_on_the_same_database(
    service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        POLICY.read_text().replace('id = "offers"', 'id = "offers"\nconsent_purpose = "never-asked"')
    )
    done = await service.ccari("policy", "check", str(file))
    told = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    lacking = "no number of 'acme' has consented to 'never-asked' by phone: ccari consents import FILE"
    assert (done.code, done.out) == (1, "")
    assert f"ccari: {file}: campaign 'offers': {lacking}" in told
    assert not any("secret" in line or "sound" in line for line in told)
