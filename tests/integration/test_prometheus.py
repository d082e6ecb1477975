"""A real Prometheus scrapes a real ccari, evaluates the alert rules, and answers the dashboard's queries."""

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ccari.ports.metering import Work
from tests.integration.prometheus import START_SECONDS, Prometheus, programmes, prometheus, queries_of, run
from tests.integration.service import Service
from tests.lab import Lab, callees
from tests.lab.ports import free_port
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker" / "prometheus" / "ccari.rules.yml"
DASHBOARD = ROOT / "docker" / "grafana" / "ccari.json"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nobody() -> str:
    """An address at which there should be a ccari, and is none."""
    return f"127.0.0.1:{free_port(socket.SOCK_STREAM, '127.0.0.1')}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(service: Service, nobody: str) -> AsyncIterator[Prometheus]:
    targets = [service.environment["CCARI_HTTP__LISTEN"], nobody]
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "ccari", "static_configs": [{"targets": targets}]}],
    }
    # YAML reads JSON
    async with prometheus(json.dumps(configuration)) as running:
        await until(running.is_ready, within=START_SECONDS)
        yield running


def newest(series: str) -> str:
    return f"sum(last_over_time({series}[1m]))"


async def test_the_rules_are_none_or_fire_for_something_else() -> None:
    """``promtool`` reads them, and runs the cases in ``rules.test.yml``."""
    promtool = str(await programmes() / "promtool")
    told = await run(promtool, "check", "rules", str(RULES))
    assert "SUCCESS" in told
    await run(promtool, "test", "rules", str(Path(__file__).parent / "rules.test.yml"))


async def test_a_call_does_not_show_in_prometheus(service: Service, lab: Lab, server: Prometheus) -> None:
    # a scrape that takes longer than a second leaves a moment without series
    ended = newest('ccari_calls_total{campaign="renewals",direction="outbound",outcome="bridged"}')
    heard, waited = (
        newest('ccari_notices_total{result="heard"}'),
        newest("ccari_notice_to_bridge_seconds_count"),
    )
    kept = newest('ccari_recordings_filed_total{result="stored"}')

    async def counted(query: str) -> float:
        return await server.value(query) or 0.0

    async def scraped() -> bool:
        return await server.value("max(ccari_asterisk_up)") == 1

    await until(scraped, within=START_SECONDS)
    before = [await counted(each) for each in (ended, heard, waited, kept)]
    placed = await lab.world.dial(callees.answers(58).number, agent="drops-3")
    await placed.ended()
    assert (await lab.pbx.outcome(placed.id)).outcome == "bridged"

    async def told() -> bool:
        return [await counted(each) for each in (ended, heard, waited, kept)] == [each + 1 for each in before]

    await until(told, within=START_SECONDS)
    assert await server.value(newest("ccari_fence_held")) == 1
    assert await server.value(newest("ccari_database_up")) == 1
    done = await server.ask("query", query="last_over_time(ccari_work_last_success_timestamp_seconds[1m])")
    # no authority is set
    assert {each["metric"]["work"] for each in done["result"]} == {*Work} - {Work.TIME_STAMPS}
    assert await counted(newest("ccari_answer_to_notice_seconds_count")) >= 1
    assert await counted(newest('ccari_gate_seconds_count{step="dial"}')) >= 1
    assert callees.answers(58).number.lstrip("+") not in json.dumps(
        await server.ask("series", **{"match[]": '{job="ccari"}'})
    )


async def test_a_rule_cannot_be_evaluated_or_a_service_that_is_away_is_not_noticed(
    server: Prometheus, nobody: str
) -> None:
    async def evaluated() -> bool:
        groups = (await server.ask("rules"))["groups"]
        return all(each["health"] != "unknown" for group in groups for each in group["rules"])

    await until(evaluated, within=START_SECONDS)
    rules = [each for group in (await server.ask("rules"))["groups"] for each in group["rules"]]
    assert {each["name"]: each.get("lastError") for each in rules if each["health"] != "ok"} == {}

    async def noticed() -> bool:
        alerts = (await server.ask("alerts"))["alerts"]
        return any(
            each["labels"]["alertname"] == "CcariDown" and each["labels"]["instance"] == nobody
            for each in alerts
        )

    await until(noticed, within=START_SECONDS)


async def test_a_panel_of_the_dashboard_asks_what_prometheus_does_not_understand(server: Prometheus) -> None:
    asked = list(queries_of(DASHBOARD))
    assert len(asked) > 40
    for each in asked:
        assert "$" not in each
        await server.ask("query", query=each)
