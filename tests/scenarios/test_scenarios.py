"""Plays every scenario, as many at once as the laboratory can carry, and judges each by itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.service import Service
from tests.lab import Lab
from tests.scenarios.play import Seen, Stage, faults, play
from tests.scenarios.scenario import Scenario, cast, scenarios

#: Their calls take time but little of the processor.
AT_ONCE = 12
_ALL = scenarios()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playing(
    lab: Lab, service: Service, request: pytest.FixtureRequest
) -> AsyncIterator[dict[str, "asyncio.Task[Seen]"]]:
    """The scenarios to test, under way."""
    made = await service.json("token", "create", "--role", "dialer", "--name", "scenarios")
    stage, room = Stage(lab, service, made["token"]), asyncio.Semaphore(AT_ONCE)
    callees = cast(_ALL)

    async def one(scenario: Scenario, serial: int) -> Seen:
        async with room:
            return await play(scenario, callees[scenario.name], serial, stage)

    wanted = {item.callspec.params["scenario"].name for item in request.session.items if hasattr(item, "callspec")
              and "scenario" in item.callspec.params}  # fmt: skip
    tasks = {
        each.name: asyncio.create_task(one(each, serial))
        for serial, each in enumerate(_ALL)
        if each.name in wanted
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("scenario", _ALL, ids=lambda each: each.name)
async def test_a_scenario_ends_otherwise_than_it_says(
    scenario: Scenario, playing: dict[str, "asyncio.Task[Seen]"]
) -> None:
    seen = await playing[scenario.name]
    found = await asyncio.to_thread(faults, seen)
    assert found == [], f"{scenario.summary}\n{seen.events}"


def test_a_scenario_has_no_line_that_tells_what_happens() -> None:
    assert [each.name for each in _ALL if not each.summary.endswith(".")] == []
    assert len({each.summary for each in _ALL}) == len(_ALL)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_full_number_stands_in_a_log_line(
    service: Service, playing: dict[str, "asyncio.Task[Seen]"]
) -> None:
    ended = await asyncio.gather(*playing.values())
    written = service.log.read_text()
    assert written
    assert [each.scenario.name for each in ended if each.number.removeprefix("+") in written] == []
