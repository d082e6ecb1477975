"""The HTTP API of a running service, and the effect of its answers on calls."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio

from ccari.recordings.reading import identities_of, open_plain
from tests.integration.service import EVENT_SECONDS, Service
from tests.lab import Callee, Lab, Outcome, callees
from tests.unit.web.console.browsing import Visitor, browser

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Client:
    """A client that holds a token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"}

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the decoded body."""
        async with self._session.request(
            method, self._url + path, json=body, headers=self._headers
        ) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def content(self, path: str) -> bytes:
        """The contents of a file."""
        async with self._session.get(self._url + path, headers=self._headers) as answer:
            assert answer.status == 200
            return await answer.read()

    @contextlib.asynccontextmanager
    async def events(self, path: str) -> AsyncIterator[aiohttp.StreamReader]:
        """The events of a stream from now on."""
        url = f"{self._url}/v1/{path}/events"
        async with self._session.get(url, headers=self._headers) as answer:
            assert answer.status == 200
            while await answer.content.readline() != b"\n":
                pass
            yield answer.content


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=EVENT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as opened:
        yield opened


async def bearer(service: Service, session: aiohttp.ClientSession, *options: str) -> Client:
    made = await service.json("token", "create", *options)
    return Client(session, f"http://{service.environment['CCARI_HTTP__LISTEN']}", made["token"])


async def called(lab: Lab, callee: Callee) -> Outcome:
    placed = await lab.world.dial(callee.number, agent="drops-3")
    await placed.ended()
    return await lab.pbx.outcome(placed.id)


async def test_a_number_that_was_barred_over_http_is_dialled(
    service: Service, lab: Lab, session: aiohttp.ClientSession
) -> None:
    callee = callees.answers(61)
    crm = await bearer(service, session, "--role", "dpo")
    question = {"number": callee.number, "campaign": "renewals"}
    assert await crm.ask("POST", "/v1/gate", question) == (200, {
        "verdict": "allow", "reason": "", "why": "", "campaign": "renewals", "number": f"+48•••••{callee.number[-4:]}",
        "controller": "acme", "legal_basis": "contract",
    })  # fmt: skip
    status, done = await crm.ask("POST", "/v1/suppressions", {"number": callee.number, "reason": "objection"})
    assert (status, done["added"]) == (200, True)
    # an objection is to what rests on a legitimate interest, and does not bar a call under a contract; the centre's own
    # bar does
    assert (await crm.ask("POST", "/v1/gate", question))[1]["verdict"] == "allow"
    await crm.ask("POST", "/v1/suppressions", {"number": callee.number, "proof": "letter 9"})
    assert (await crm.ask("POST", "/v1/gate", question))[1]["reason"] == "suppressed_do_not_call"
    told = await called(lab, callee)
    assert (told.outcome, told.reason) == ("blocked", "suppressed_do_not_call")
    assert await lab.world.invites(callee.number) == 0
    await service.ended(told.call)
    status, shown = await crm.ask("GET", f"/v1/calls/{told.call}")
    assert (status, shown["outcome"], shown["reason"], shown["whole"]) == (
        200, "blocked", "suppressed_do_not_call", True,
    )  # fmt: skip
    status, page = await crm.ask("GET", "/v1/calls?outcome=blocked&limit=1")
    assert [each["id"] for each in page["items"]] == [told.call]


async def test_a_lifted_bar_still_blocks(service: Service, lab: Lab, session: aiohttp.ClientSession) -> None:
    callee = callees.answers(63)
    dpo = await bearer(service, session, "--role", "dpo", "--controller", "acme")
    await dpo.ask("POST", "/v1/suppressions", {"number": callee.number})
    assert (await called(lab, callee)).outcome == "blocked"
    status, done = await dpo.ask(
        "POST", "/v1/suppressions/remove", {"number": callee.number, "why": "a mistake"}
    )
    assert (status, len(done["lifted"])) == (200, 1)
    assert (await called(lab, callee)).outcome == "bridged"
    assert await lab.world.invites(callee.number) == 1


async def test_a_key_pressed_in_a_call_is_not_in_the_register_that_is_asked(
    service: Service, lab: Lab, session: aiohttp.ClientSession
) -> None:
    callee = callees.presses("7", 3, 64)
    dpo = await bearer(service, session, "--role", "dpo")
    placed = await lab.world.dial(callee.number, agent="talks")
    pressed = await service.logged(
        lambda line: (
            line["event"] == "right_registered" and line.get("number", "").endswith(callee.number[-4:])
        )
    )
    await lab.world.hang_up(placed)
    await placed.ended()
    status, shown = await dpo.ask("GET", f"/v1/requests/{pressed['reference']}")
    assert (status, shown["right"], shown["channel"], shown["call_id"]) == (
        200,
        "erasure",
        "key",
        pressed["call_id"],
    )
    status, told = await dpo.ask("POST", f"/v1/requests/{pressed['reference']}/resolve", {"note": "done"})
    assert (status, told["status"]) == (409, 409)
    assert callee.number not in service.log.read_text()


async def test_an_agents_card_does_not_come_when_the_callee_answers(
    service: Service, lab: Lab, session: aiohttp.ClientSession
) -> None:
    callee = callees.answers(65)
    desk = await bearer(service, session, "--role", "dialer", "--controller", "acme")
    # the lab's dialplan takes the agent's name from the agent's phone
    known = await called(lab, callees.answers(66))
    agent = (await service.call(known.call))["agent"]
    async with desk.events(f"agents/{agent}") as stream:
        told = await called(lab, callee)
        assert await stream.readline() == b"event: agent_card\n"
        card = orjson.loads((await stream.readline()).removeprefix(b"data: "))
    assert (card["call_id"], card["agent"], card["campaign"]) == (told.call, agent, "renewals")
    assert card["number_masked"] == f"+48•••••{callee.number[-4:]}"
    assert card["source"] == "umowa zawarta z ACME"
    assert (card["controller"], card["controller_name"]) == ("acme", "ACME Sp. z o.o.")


async def test_a_call_in_progress_is_not_told_of_or_its_recording_is_anothers(
    service: Service, lab: Lab, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    # rings until the stream shows it: for each call, only the newest stage is reported
    callee = callees.answers_late(2, 67)
    dpo = await bearer(service, session, "--role", "dpo", "--controller", "acme")
    seen: list[dict[str, Any]] = []
    async with dpo.events("calls") as stream:
        told = await called(lab, callee)
        while not seen or seen[-1]["stage"] != "closed":
            if (line := await stream.readline()).startswith(b"data: "):
                each = orjson.loads(line.removeprefix(b"data: "))
                seen += [each] if each["call_id"] == told.call else []
    stages = [each["stage"] for each in seen]
    assert [each for each in dict.fromkeys(stages) if each in {"ring", "notice", "talk", "closed"}] == [
        "ring", "notice", "talk", "closed",
    ]  # fmt: skip
    # "renewals" is recorded unless the callee refuses
    assert "on" in {each["recording"] for each in seen}
    assert {each["number_masked"] for each in seen} == {f"+48•••••{callee.number[-4:]}"}
    assert (seen[-1]["outcome"], seen[-1]["rights"]) == ("bridged", [])
    (recording,) = (await service.ended(told.call))["recordings"]
    (file := tmp_path / "recording.age").write_bytes(
        await dpo.content(f"/v1/recordings/{recording['id']}/file")
    )
    identity = Path(service.environment["CCARI_DATA_DIR"], "keys", "recordings.identity")
    assert open_plain(tmp_path, file.name, identities_of(identity)).startswith(b"fLaC")
    pack = await dpo.content(f"/v1/evidence/calls/{told.call}")
    (evidence := tmp_path / "evidence.zip").write_bytes(pack)
    await service.succeeds("evidence", "verify", str(evidence))


async def test_a_right_that_an_agent_registers_on_its_page_is_lost(
    service: Service, lab: Lab, session: aiohttp.ClientSession
) -> None:
    callee = callees.answers(68)
    dpo = await bearer(service, session, "--role", "dpo")
    placed = await lab.world.dial(callee.number, agent="talks")
    bridged = await service.logged(
        lambda line: line["event"] == "call_bridged" and line.get("number", "").endswith(callee.number[-4:])
    )
    agent = (await service.call(bridged["call_id"]))["agent"]
    made = await service.json("token", "create", "--role", "agent", "--agent", agent)
    async with browser() as opened:
        visitor = Visitor(f"http://{service.environment['CCARI_HTTP__LISTEN']}", opened)
        await visitor.sign_in(made["token"])
        page = "/console/agent"
        seen = await visitor.send(page, f"{page}/{bridged['call_id']}/right", right="restriction")
        assert "Sent: restriction" in seen.words
    entered = await service.logged("right_registered", call_id=bridged["call_id"])
    await lab.world.hang_up(placed)
    await placed.ended()
    _, shown = await dpo.ask("GET", f"/v1/requests/{entered['reference']}")
    assert (shown["right"], shown["channel"], shown["key"]) == ("restriction", "agent", "screen")
    assert callee.number not in service.log.read_text()


async def test_without_a_token_more_than_health_is_told(
    service: Service, session: aiohttp.ClientSession
) -> None:
    url = f"http://{service.environment['CCARI_HTTP__LISTEN']}"
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/openapi.json", 200), ("/v1/calls", 401)):
        async with session.get(url + path) as answer:
            assert answer.status == status, path
