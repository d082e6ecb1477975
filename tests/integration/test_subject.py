"""Somebody who was really called receives their data, and is then erased."""

import asyncio
import io
import json
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccari.office import limits
from ccari.policy.limits import Limit
from ccari.policy.numbers import mask
from ccari.policy.retention import Limited
from tests.integration.service import Service
from tests.integration.test_outbound import Ended, through
from tests.lab import Lab, callees
from tests.postgres import programmes

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLEE, LATER = callees.answers(33), callees.answers(24)


async def asked(service: Service, right: str) -> str:
    done = await service.json(
        "requests", "add", right, CALLEE.number, "--controller", "acme", "--level", "L2", "--note", "letter"
    )
    return str(done["reference"])


async def run(service: Service, *arguments: str) -> str:
    done = await service.succeeds(*arguments)
    assert CALLEE.digits not in done.out + done.err
    return done.out


def dumped(service: Service) -> str:
    assert service.store is not None
    dump = programmes() / "pg_dump"
    return subprocess.run([dump, service.store.dsn], check=True, capture_output=True).stdout.decode()


async def test_a_real_call_is_left_out_of_what_its_callee_is_given_or_left_when_they_are_erased(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    ended: Ended = await through(service, lab, CALLEE, agent="drops-3")
    assert ended.verdict == ("bridged", "")
    access, out = await asked(service, "access"), tmp_path / "data.zip"
    identity = str(Path(service.environment["CCARI_DATA_DIR"], "keys", "recordings.identity"))
    await run(
        service,
        "subject",
        "export",
        CALLEE.number,
        "--request",
        access,
        "--out",
        str(out),
        "--identity",
        identity,
    )
    with zipfile.ZipFile(io.BytesIO(await asyncio.to_thread(out.read_bytes))) as pack:
        data, page = json.loads(pack.read("data.json")), pack.read("index.html").decode()
        (call,), (recording,) = data["calls"], data["recordings"]
        heard = pack.read(recording["audio"])
    assert (call["id"], call["outcome"], recording["call_id"]) == (
        ended.outcome.call,
        "bridged",
        ended.outcome.call,
    )
    assert "notice_heard" in [each["event"] for each in call["events"]]
    # what ffprobe recognises as FLAC, of the length that the row says
    assert heard.startswith(b"fLaC")
    assert recording["duration_ms"] > 1000
    assert CALLEE.number in page
    await run(service, "requests", "resolve", access)

    erasure, place = await asked(service, "erasure"), ended.record["recordings"][0]["file"]
    assert (service.recordings / place).exists()
    await run(service, "subject", "erase", CALLEE.number, "--request", erasure, "--yes")
    await run(service, "requests", "resolve", erasure)
    names = [each.name for each in service.recordings.rglob("*") if recording["id"] in each.name]
    assert names == []
    dump = await asyncio.to_thread(dumped, service)
    assert CALLEE.digits not in dump
    assert mask(CALLEE.number) not in dump
    assert CALLEE.digits not in await asyncio.to_thread(service.log.read_text)

    # the evidence of the call still verifies, and shows what was erased
    proof = tmp_path / "proof.zip"
    await run(service, "evidence", "export", ended.outcome.call, "--out", str(proof))
    told = await run(service, "evidence", "verify", str(proof))
    assert f"call {ended.outcome.call}: no fault was found" in told
    assert "erased: the fields of 1, 2, " in told
    await run(service, "evidence", "export", erasure, "--out", str(tmp_path / "request.zip"))
    assert "no fault was found" in await run(service, "evidence", "verify", str(tmp_path / "request.zip"))
    record = await service.call(ended.outcome.call)
    assert (record["fault"], record["number"]) == (None, "—")
    blocked = await service.ccari("gate", CALLEE.number, "--campaign", "renewals")
    assert "erasure" in blocked.out


async def test_a_real_call_whose_time_is_over_tells_whose_it_was_or_proves_nothing_any_more(
    service: Service, lab: Lab, tmp_path: Path
) -> None:
    ended: Ended = await through(service, lab, LATER, agent="drops-3")
    (recording,) = ended.record["recordings"]
    await run(
        service, "recordings", "purge", recording["id"], "--reason", f"asked by {LATER.number}", "--yes"
    )
    assert service.store is not None
    limit = Limit(Limited.CALLS, "acme", 0)
    assert (await limits.expire(service.store.limits, limit, datetime.now(UTC), "housekeeping")).gone >= 1
    dump = await asyncio.to_thread(dumped, service)
    assert LATER.digits not in dump
    assert mask(LATER.number) not in dump

    proof = tmp_path / "proof.zip"
    await run(service, "evidence", "export", ended.outcome.call, "--out", str(proof))
    told = await run(service, "evidence", "verify", str(proof))
    assert f"call {ended.outcome.call}: no fault was found" in told
    assert "erased: the fields of 1, 2, " in told
    record = await service.call(ended.outcome.call)
    assert (record["fault"], record["number"], record["agent"]) == (None, "—", "—")
