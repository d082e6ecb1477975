"""Two pairs of Asterisk and ccari on one PostgreSQL: what one node learns holds on the other, and each drives its own calls."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from tests.integration.ground import GONE_SECONDS, Ground, kept_later
from tests.integration.service import EVENT_SECONDS, Service
from tests.integration.test_http import bearer
from tests.lab import Callee, Lab, Outcome, callees
from tests.lab.pbx import Pbx
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def twin(ground: Ground, folder: Path) -> AsyncIterator[Ground]:
    """The other node: an Asterisk and a disk of its own, but the same keys and the recordings folder that all nodes
    share.
    """
    lab, home = ground.lab, Path(tempfile.mkdtemp(dir=folder, prefix="twin-"))
    shutil.copytree(ground.folder / "keys", home / "keys")
    (ground.folder / "recordings").mkdir(exist_ok=True)
    (home / "recordings").symlink_to(ground.folder / "recordings")
    pbx = Pbx(
        lab.pbx.root, lab.directory / "twin", world_sip_port=lab.world.sip_port, host_folders=[ground.sounds]
    )
    await pbx.start()
    try:
        yield Ground(Lab(lab.directory, pbx, lab.world), home, ground.sounds, ground.url)
    finally:
        await pbx.stop()


@contextlib.asynccontextmanager
async def running(ground: Ground, twin: Ground) -> AsyncIterator[tuple[Service, Service]]:
    async with ground.running() as here, twin.running() as there:
        yield here, there


async def called(node: Ground, callee: Callee) -> Outcome:
    placed = await node.lab.world.dial(callee.number, agent="drops-1", pbx=node.lab.pbx)
    await placed.ended()
    return await node.lab.pbx.outcome(placed.id)


async def rows(ground: Ground, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(ground.url, server_settings={"search_path": "ccari"})
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


async def test_invariant_1_a_number_that_one_node_was_told_of_over_http_is_dialled_by_another(
    ground: Ground, twin: Ground
) -> None:
    callee = callees.answers(70)
    timeout = aiohttp.ClientTimeout(total=EVENT_SECONDS)
    async with running(ground, twin) as (here, _), aiohttp.ClientSession(timeout=timeout) as session:
        dpo = await bearer(here, session, "--role", "dpo")
        status, done = await dpo.ask("POST", "/v1/suppressions", {"number": callee.number})
        assert (status, done["added"]) == (200, True)
        told = await called(twin, callee)
        assert (told.outcome, told.reason) == ("blocked", "suppressed_do_not_call")
        assert await twin.lab.world.invites(callee.number) == 0


async def test_invariant_1_a_key_that_was_pressed_in_a_call_of_one_node_bars_nobody_on_another(
    ground: Ground, twin: Ground
) -> None:
    callee = callees.presses("7", 1, 71)
    async with running(ground, twin) as (here, there):
        placed = await ground.lab.world.dial(callee.number, pbx=ground.lab.pbx)
        pressed = await here.logged("right_registered")
        await ground.lab.world.hang_up(placed)
        await placed.ended()
        assert await ground.lab.world.invites(callee.number) == 1
        told = await called(twin, callee)
        assert (told.outcome, told.reason) == ("blocked", "suppressed_erasure")
        assert await ground.lab.world.invites(callee.number) == 1
        # both nodes share the register and the counter of its references
        shown = await there.json("requests", "show", pressed["reference"])
        assert (shown["right"], shown["call_id"]) == ("erasure", pressed["call_id"])


async def test_a_node_gates_by_a_policy_that_was_replaced_from_another_or_the_same_one_is_applied_twice(
    ground: Ground, twin: Ground, policy_file: Path
) -> None:
    changed = _with_another_basis(policy_file, ground.folder / "changed.toml")
    async with running(ground, twin) as (here, there):
        assert (await twin.ended(there, await twin.dial(callees.busy(72))))[1]["legal_basis"] == "contract"
        await here.succeeds("policy", "apply", str(changed))
        _, shown = await twin.ended(there, await twin.dial(callees.busy(73)))
        assert shown["legal_basis"] == "legal_obligation"
        await there.succeeds("policy", "apply", str(changed))
        (newest,) = await rows(ground, "SELECT max(revision) AS revision FROM policy_revisions")
        assert newest["revision"] == shown["revision"]
        await there.succeeds("policy", "apply", str(policy_file))
        _, shown = await ground.ended(here, await ground.dial(callees.busy(74)))
        assert shown["legal_basis"] == "contract"


def _with_another_basis(policy: Path, file: Path) -> Path:
    """Change the legal basis of the campaign with the shortest notice."""
    old, new = (
        f'purpose = "potwierdzenie wizyty"\nlegal_basis = "{each}"'
        for each in ("contract", "legal_obligation")
    )
    file.write_text(policy.read_text().replace(old, new))
    return file


async def test_what_is_due_is_deleted_or_told_of_by_each_node(ground: Ground, twin: Ground) -> None:
    async with twin.running() as there:
        placed, call_id = await twin.talk(there, callees.answers(75))
        await twin.recorded_a_while()
        await twin.lab.world.hang_up(placed)
        (row,) = (await kept_later(there, call_id))["recordings"]
    file = ground.folder / "recordings" / row["file"]
    assert file.exists()
    await rows(
        ground, "UPDATE recordings SET delete_at = now() - interval '1 day' WHERE call_id = $1", call_id
    )
    # each checks at its start
    services = [ground.service(), twin.service()]
    await asyncio.gather(*(each.start() for each in services))
    try:
        await until(lambda: not file.exists(), within=GONE_SECONDS)

        async def is_told() -> bool:
            return bool(await _deletions(services[0], call_id))

        await until(is_told, within=GONE_SECONDS)
    finally:
        assert await asyncio.gather(*(each.stop() for each in services)) == [0, 0]
    assert len(await _deletions(services[0], call_id)) == 1
    deleted = [line for each in services for line in each.lines() if line["event"] == "recording_deleted"]
    assert [line["call_id"] for line in deleted] == [call_id]
    assert not any(line["event"] == "recordings_were_not_there" for each in services for line in each.lines())


async def _deletions(service: Service, call_id: str) -> list[dict[str, Any]]:
    """The deletions in the call's journal."""
    shown = await service.call(call_id)
    return [each for each in shown["events"] if each["event"] == "recording_deleted"]


async def test_invariants_4_and_9_a_node_that_is_killed_takes_calls_of_another_with_it_or_has_its_own_ended_by_that(
    ground: Ground, twin: Ground
) -> None:
    async with contextlib.AsyncExitStack() as still:
        first = await still.enter_async_context(ground.running())
        mine, my_call = await ground.talk(first, callees.answers(76))
        await ground.recorded_a_while()
        async with twin.running() as there:
            theirs, their_call = await twin.talk(there, callees.answers(77))
            await first.stop(signal.SIGKILL)
            await twin.recorded_a_while()
            outcome = await called(twin, callees.answers(78))
            assert (outcome.outcome, outcome.reason) == ("bridged", "")
            await twin.lab.world.hang_up(theirs)
            outcome, shown = await twin.ended(there, theirs)
            assert (outcome.outcome, outcome.reason, shown["fault"]) == ("bridged", "", None)
            await kept_later(there, their_call)
        async with twin.running() as there:
            # it takes stock with the other node's rows before it; the other node's talk goes on and is recorded
            (stock,) = [line for line in there.lines() if line["event"] == "asterisk_connected"]
            found = ("resumed_talks", "swept_channels", "kept_recordings", "abandoned_calls")
            assert [stock[each] for each in found] == [0, 0, 0, 0]
            left = await there.json("calls", "show", my_call)
            assert (left["ended_at"], [each["state"] for each in left["recordings"]]) == (None, ["recording"])
            await ground.recorded_a_while(more=8_000)
            second = await still.enter_async_context(ground.running())
            resumed = await second.logged("talk_resumed")
            assert (resumed["call_id"], resumed["recorded"]) == (my_call, "yes")
            await ground.lab.world.hang_up(mine)
            outcome, _ = await ground.ended(second, mine)
            assert (outcome.outcome, outcome.reason) == ("bridged", "")
            shown = await kept_later(second, my_call)
            assert (shown["outcome"], shown["fault"]) == ("bridged", None)
            for words in (("evidence", "seal"), ("evidence", "check"), ("audit", "check")):
                await there.succeeds(*words)
    await ground.nothing_left()
    await twin.nothing_left()


async def test_two_nodes_drive_asterisks_of_one_name(ground: Ground, twin: Ground) -> None:
    """Each would end the other's calls, taking them for its own."""
    services = [ground.service(), twin.service()]
    for each in services:
        each.environment = {**each.environment, "CCARI_ASTERISK__NAME": "pbx"}
    first, second = services
    await first.start()
    try:
        await second.spawn()
        assert second.process is not None
        async with asyncio.timeout(EVENT_SECONDS):
            assert await second.process.wait() == 1
        assert "give each a different [asterisk] name" in second.errors.read_text()
        outcome, _ = await ground.ended(first, await ground.dial(callees.answers(79), agent="drops-1"))
        assert outcome.outcome == "bridged"
    finally:
        assert await first.stop() == 0
