"""The link to Asterisk when it breaks: who notices, who stops sending, and what happens to the calls."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from asyncari.client import Client

from ccari.calls.ari import EVENTS, open_ari
from ccari.calls.identity import DRIVEN_BY
from ccari.calls.link import LONGEST_RETRY_SECONDS
from ccari.calls.operations import Operation
from ccari.calls.transport import CLOSE_SECONDS, Credentials, Refused, Transport, connect
from ccari.errors import AsteriskError
from ccari.store.database import SCHEMA
from tests.integration.conftest import POLICY
from tests.integration.databases import new_database
from tests.integration.ground import Ground, kept_later
from tests.integration.relay import Message, Relay, relay
from tests.integration.service import Service
from tests.lab import AgentCall, callees
from tests.lab.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

GONE_SECONDS = 30.0
EXIT_SECONDS = 60.0


async def given_up(service: Service) -> str:
    """The only line of a service, once it has given up."""
    assert service.process is not None
    async with asyncio.timeout(EXIT_SECONDS):
        assert await service.process.wait() == 1
    (line,) = service.errors.read_text().splitlines()
    assert line.startswith("ccari: ")
    return line


async def test_a_cut_connection_ends_the_talk_loses_its_recording_or_dials_meanwhile(
    ground: Ground,
) -> None:
    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        talking, call_id = await ground.talk(service, callees.answers(1))
        between.away = True
        between.cut()
        before = time.monotonic()
        await service.logged("asterisk_away")

        outcome, _ = await ground.ended(service, await ground.dial(callees.answers(2)))
        assert (outcome.outcome, outcome.reason) == ("unavailable", "service_away")
        assert outcome.stasis_status == "FAILED"
        assert await ground.lab.world.invites(callees.answers(2).number) == 0

        await until(lambda: time.monotonic() - before > 1.5, within=GONE_SECONDS)
        took, tries = time.monotonic() - before, len(between.handshakes)
        assert tries <= 8 + took / LONGEST_RETRY_SECONDS, "it knocks without backing off"
        between.away = False
        connected = await service.logged("asterisk_connected", resumed_talks=1)
        assert (connected["swept_channels"], connected["abandoned_calls"]) == (0, 0)
        await ground.recorded_a_while()
        await ground.lab.world.hang_up(talking)
        outcome, shown = await ground.ended(service, talking)
        assert (shown["id"], shown["outcome"], shown["fault"]) == (call_id, "bridged", None)
        shown = await kept_later(service, call_id)
        assert shown["recordings"][0]["duration_ms"] > 1000, "what was said while the link was away is lost"
        await ground.nothing_left()

        again = await ground.dial(callees.answers(3), agent="drops-1")
        outcome, _ = await ground.ended(service, again)
        assert outcome.outcome == "bridged"


def _tried_since(between: Relay, tries: int) -> bool:
    """Whether a whole attempt has begun since there were that many."""
    return len(between.handshakes) > tries + 1


@contextlib.asynccontextmanager
async def ari_conf(ground: Ground, before: str, after: str) -> AsyncIterator[None]:
    """Change what Asterisk's ``ari.conf`` says about its users; restore it at the end."""
    pbx = ground.lab.pbx
    conf = pbx.home / "etc" / "ari.conf"
    first = conf.read_text()
    try:
        conf.write_text(first.replace(before, after))
        await pbx.cli("module reload res_ari.so")
        yield
    finally:
        conf.write_text(first)
        await pbx.cli("module reload res_ari.so")


async def test_who_changes_the_password_of_asterisk_leaves_all_calls_to_themselves_or_ends_the_gates_with_the_service(
    ground: Ground, tmp_path: Path
) -> None:
    """Asterisk goes on sending events, and refuses every request: whoever presses a key is not answered, and nobody is
    hung up. The password is changed there first; here, its file is missing for a while, and then half written.

    Keys are lost once the service has noticed. A callee's key causes the first refused request, unless this machine is
    slow and they pressed it before: the service sends no requests until then.
    """
    file, changed = tmp_path / "ari-password", secrets.token_hex(16)
    pressed = False

    async def pings_later(message: Message) -> list[Message]:
        return [message] if pressed or not message["uri"].endswith("asterisk/ping") else []

    file.write_text(ground.lab.pbx.ari_password)
    async with (
        relay(ground.lab.pbx.ari_url) as between,
        ground.running(ari=between.url, password_file=file) as service,
        aiohttp.ClientSession() as session,
    ):
        between.on_request = pings_later
        pressing = await ground.dial(callees.presses("8", 9, 4))
        talking, _ = await ground.talk(service, callees.answers(22))
        async with ari_conf(ground, ground.lab.pbx.ari_password, changed):
            await service.logged("right_registered")
            pressed = True
            away = await service.logged("asterisk_away")
            assert "refuses the ARI user, whom it had let in: was its password changed" in away["reason"]
            await service.logged(
                lambda line: (
                    "check its name and password in ari.conf and in [asterisk]" in line.get("reason", "")
                )
            )
            outcome, _ = await ground.ended(service, await ground.dial(callees.answers(2)))
            assert (outcome.outcome, outcome.reason, outcome.stasis_status) == (
                "unavailable",
                "service_away",
                "FAILED",
            )
            for path, status in (("healthz", 200), ("readyz", 503)):
                async with session.get(
                    f"http://{service.environment['CCARI_HTTP__LISTEN']}/{path}"
                ) as answer:
                    assert answer.status == status
            file.unlink()
            await until(partial(_tried_since, between, len(between.handshakes)), within=GONE_SECONDS)
            file.write_text(changed[:5])
            await until(partial(_tried_since, between, len(between.handshakes)), within=GONE_SECONDS)
            file.write_text(changed)
            await service.logged("asterisk_connected", resumed_talks=2)
            for placed in (talking, pressing):
                await ground.lab.world.hang_up(placed)
                outcome, shown = await ground.ended(service, placed)
                assert (outcome.outcome, shown["fault"]) == ("bridged", None)
                await kept_later(service, shown["id"])
            events = [each["event"] for each in shown["events"]]
            assert events.count("right_registered") == 1


async def test_a_service_whose_user_may_write_no_more_passes_for_one_that_is_well(ground: Ground) -> None:
    async with ground.running() as service:
        talking, _ = await ground.talk(service, callees.answers(23))
        async with ari_conf(ground, "read_only = no", "read_only = yes"):
            placed = await ground.dial(callees.answers(24))
            await service.logged(lambda line: "remove read_only in ari.conf" in line.get("reason", ""))
        await service.logged("asterisk_connected", resumed_talks=1)
        # until then its call was left unattended
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "unavailable"
        await ground.lab.world.hang_up(talking)
        outcome, _ = await ground.ended(service, talking)
        assert outcome.outcome == "bridged"


async def test_a_service_that_begins_with_a_wrong_password_passes_for_one_that_runs(
    ground: Ground, tmp_path: Path
) -> None:
    file = tmp_path / "ari-password"
    file.write_text("a typing error")
    service = ground.service(password_file=file)
    await service.spawn()
    assert "refused the ARI user ccari: check its name and password" in await given_up(service)


async def test_events_that_come_twice_or_are_unknown_disturb_a_call(ground: Ground) -> None:
    """Also: Asterisk sends the events asked for and no others, and still sends replies."""

    async def twice(message: Message) -> list[Message]:
        if message["type"] == "RESTResponse":
            return [message]
        odd = {"type": "SomethingNew", "channel": {"id": 5}}
        return [message, odd, message, {**message, "type": "StasisStartOfAnotherKind"}]

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        between.on_reply = twice
        placed = await ground.dial(callees.presses("2", 0, 4), agent="drops-1")
        outcome, shown = await ground.ended(service, placed)
    assert (outcome.outcome, outcome.reason) == ("bridged", "recording_refused")
    events = [each["event"] for each in shown["events"]]
    assert [events.count(each) for each in ("callee_answered", "right_registered", "call_bridged")] == [
        1,
        1,
        1,
    ]
    assert shown["fault"] is None
    assert {each["type"] for each in between.events} <= set(EVENTS)
    assert "PUT applications/ccari/eventFilter" in between.kinds()


async def test_a_lost_reply_dials_twice_or_leaves_something_recording(ground: Ground) -> None:
    lost_in = {
        callees.answers(5).digits: "channels/create",
        callees.answers(6).digits: "/dial",
        callees.answers(7).digits: "/record",
    }
    of_call: dict[str, str] = {}
    swallowed: list[str] = []

    async def note(request: Message) -> list[Message]:
        asked = {each["name"]: each["value"] for each in request["query_strings"]}
        if request["uri"] == "channels/create":
            of_call[asked["channelId"][6:42]] = asked["endpoint"][6:17]
        call = next((each for each in of_call if each in request["uri"] + str(asked)), "")
        if call and request["uri"].endswith(lost_in.get(of_call[call], "-")):
            swallowed.append(request["request_id"])
        return [request]

    async def lose(message: Message) -> list[Message]:
        return [] if message.get("request_id") in swallowed else [message]

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        between.on_request, between.on_reply = note, lose
        created, dialled, recorded = [await ground.dial(callee) for callee in map(callees.answers, (5, 6, 7))]
        bridged = await service.logged("call_bridged")
        assert bridged["recorded"] == "no"
        async with ground.asterisk() as session:
            _, before = await ground.ended(service, created)
            (recording,) = [each["id"] for each in await service.json("recordings", "list")
                            if each["call_id"] == bridged["call_id"]]  # fmt: skip
            live = f"{ground.lab.pbx.ari_url}/ari/recordings/live/{recording}"
            async with session.get(live) as reply:
                assert reply.status == 404, "it records a call that it says is not recorded"
        await ground.lab.world.hang_up(recorded)
        _, during = await ground.ended(service, dialled)
        _, after = await ground.ended(service, recorded)
        await ground.nothing_left()
    assert len(swallowed) == 3
    invites = [await ground.lab.world.invites(callees.answers(serial).number) for serial in (5, 6, 7)]
    assert invites == [0, 1, 1]
    assert [each["outcome"] for each in (before, during, after)] == ["failed", "failed", "bridged"]
    assert [each["state"] for each in after["recordings"]] == ["discarded"]
    assert ground.raw(after) == []


def _begun(between: Relay) -> bool:
    """Whether Asterisk has handed a call over."""
    return any(each["type"] == "StasisStart" for each in between.events)


async def test_a_caller_who_comes_while_stock_is_taken_is_sent_away(ground: Ground) -> None:
    placed: list[AgentCall] = []

    async with relay(ground.lab.pbx.ari_url) as between:

        async def call_now(request: Message) -> list[Message]:
            if request["method"] == "GET" and request["uri"] == "applications/ccari":
                placed.append(await ground.dial(callees.answers(8), agent="drops-1"))
                await until(lambda: _begun(between), within=GONE_SECONDS)
            return [request]

        between.on_request = call_now
        async with ground.running(ari=between.url) as service:
            outcome, _ = await ground.ended(service, placed[0])
    assert outcome.outcome == "bridged"


async def test_a_caller_who_comes_while_the_service_stops_waits_in_silence(ground: Ground) -> None:
    stopping = asyncio.Event()

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        talking, _ = await ground.talk(service, callees.answers(9))

        async def hold_the_end(request: Message) -> list[Message]:
            if request["method"] == "DELETE":
                await stopping.wait()
            return [request]

        between.on_request = hold_the_end
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        await until(
            lambda: any(each.startswith("DELETE channels") for each in between.kinds()), within=GONE_SECONDS
        )
        between.on_request = _as_it_is_but_after(stopping)
        late = await ground.dial(callees.answers(10))
        await service.logged("call_not_begun")
        stopping.set()
        outcome, _ = await ground.ended(service, late)
        assert (outcome.outcome, outcome.reason) == ("unavailable", "shutdown")
        assert await service.process.wait() == 0
        outcome, shown = await ground.ended(service, talking)
        assert shown["outcome"] == "bridged"
    assert await ground.lab.world.invites(callees.answers(10).number) == 0


def _as_it_is_but_after(event: asyncio.Event) -> Any:
    async def hold(request: Message) -> list[Message]:
        await event.wait()
        return [request]

    return hold


@pytest.mark.parametrize("app", ["ccari", "other"])
async def test_a_second_service_on_the_same_database_takes_the_asterisk_over(
    ground: Ground, app: str
) -> None:
    """Under another application name it would get its own calls, and end those of the first."""
    async with ground.running() as first:
        second = ground.service()
        second.environment = {**second.environment, "CCARI_ASTERISK__APP": app}
        await second.spawn()
        assert "another ccari controls this Asterisk" in await given_up(second)
        assert not any(line["event"] == "asterisk_connected" for line in second.lines())
        placed = await ground.dial(callees.answers(11), agent="drops-1")
        outcome, _ = await ground.ended(first, placed)
        assert outcome.outcome == "bridged"


async def test_a_service_with_another_database_ends_the_talks_of_the_one_that_drives_asterisk(
    ground: Ground, dsn: str
) -> None:
    """Such as one started to try it, with a folder of its own: the lock of the first is in a database that it does not know."""
    other = await new_database(dsn, "stranger")
    async with ground.running() as first:
        talking, call_id = await ground.talk(first, callees.answers(15))
        second = ground.service(url=other)
        await second.spawn()
        assert "a service with another database drives this Asterisk as ccari" in await given_up(second)
        await ground.lab.world.hang_up(talking)
        _, shown = await ground.ended(first, talking)
        assert (shown["id"], shown["outcome"], shown["fault"]) == (call_id, "bridged", None)
        assert not first.count("asterisk_away")
        await first.stop(signal.SIGKILL)
    # Asterisk may take a moment to notice, and is then free for whoever comes
    async with ground.running(url=other) as second:
        assert second.count("asterisk_connected") == 1
        # now it is the one that drives Asterisk
        again = ground.service()
        await again.spawn()
        assert "a service with another database drives this Asterisk as ccari" in await given_up(again)


async def test_a_service_that_was_replaced_goes_on_driving_asterisk(ground: Ground, dsn: str) -> None:
    other = await new_database(dsn, "rival")
    await ground.service(url=other).succeeds("policy", "apply", str(POLICY))
    async with relay(ground.lab.pbx.ari_url) as between:
        sent_before: list[int] = []

        async def watch(message: Message) -> list[Message]:
            if message["type"] == "ApplicationReplaced":
                sent_before.append(len(between.requests))
            return [message]

        async def wordless(message: Message) -> list[Message]:
            is_word = {"name": "variable", "value": DRIVEN_BY} in message["query_strings"]
            return [{**message, "method": "GET"}] if is_word else [message]

        between.on_reply = watch
        async with ground.running(ari=between.url) as first:
            talking, _ = await ground.talk(first, callees.answers(12))
            # the word for services with other databases is lost, as somebody may change any global variable, and the other one starts
            # before it is said again
            between.on_request = wordless
            await ground.lab.pbx.cli(f"dialplan set global {DRIVEN_BY} none")
            async with ground.running(url=other) as second:
                assert "another service has taken over the Stasis application" in await given_up(first)
                await ground.lab.world.hang_up(talking)
                placed = await ground.dial(callees.answers(13), agent="drops-1")
                outcome, _ = await ground.ended(second, placed)
                assert outcome.outcome == "bridged"
                await ground.nothing_left()
        assert [len(between.requests)] == sent_before
        # the recording of the call taken from it is stored once it may drive Asterisk again
        async with ground.running(ari=between.url) as first:
            outcome, _ = await ground.ended(first, talking)
            await kept_later(first, outcome.call)


async def test_a_service_killed_in_the_notice_leaves_a_leg_that_nobody_drives(ground: Ground) -> None:
    async with ground.running() as service:
        placed = await ground.dial(callees.answers(14))
        answered = await service.logged("callee_answered")
        await service.stop(signal.SIGKILL)
    async with ground.running() as service:
        connected = await service.logged("asterisk_connected")
        assert (connected["swept_channels"], connected["abandoned_calls"]) == (2, 1)
        outcome, _ = await ground.ended(service, placed)
        assert outcome.outcome == "unavailable"
        await ground.nothing_left()
        shown = await service.json("calls", "show", answered["call_id"])
    assert (shown["outcome"], shown["reason"], shown["fault"]) == ("failed", "service_died", None)
    assert (shown["heard_at"], shown["recordings"]) == (None, [])
    assert ground.raw(shown) == []


async def test_recordings_of_an_asterisk_on_another_host_stay_there_or_are_lost(ground: Ground) -> None:
    """One call ends with its service running; a service that is killed leaves the other."""
    async with ground.running(spool="ari") as service:
        placed, ended_id = await ground.talk(service, callees.answers(20))
        await ground.recorded_a_while()
        await ground.lab.world.hang_up(placed)
        _, ended = await ground.ended(service, placed)
        await kept_later(service, ended_id)
        placed, left_id = await ground.talk(service, callees.answers(21))
        await ground.recorded_a_while()
        await service.stop(signal.SIGKILL)
    await ground.lab.world.hang_up(placed)
    async with ground.running(spool="ari") as service:
        await ground.nothing_left()
        left = await kept_later(service, left_id)
        incoming = Path(service.environment["CCARI_DATA_DIR"], "incoming")
        await until(lambda: not list(incoming.iterdir()), within=GONE_SECONDS)
        for call_id in (ended_id, left_id):
            (row,) = (await service.json("calls", "show", call_id))["recordings"]
            # by its name: the folder also has other tests' recordings, which have no rows here
            assert (await service.ccari("recordings", "verify", row["id"])).code == 0
            assert service.recorded(row).seconds > 1.0
    assert ground.raw(ended) == ground.raw(left) == []


async def test_invariant_6_recovery_keeps_what_was_said_after_a_refusal(ground: Ground) -> None:
    """The service dies between a refusal and the stop of its recorder: here 0.5 s into the recording."""
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callees.answers(19))
        await ground.recorded_a_while()
        await service.stop(signal.SIGKILL)
    connection = await asyncpg.connect(ground.url, server_settings={"search_path": SCHEMA})
    try:
        await connection.execute(
            """INSERT INTO rights_requests (reference, controller, campaign, call_id, "right", article, state, key, digest,
                                            key_version, received_at, due, purpose, language, channel, number_from, level,
                                            closed_at, digests)
               SELECT 'ACME-2026-999999', c.controller, c.campaign, c.id, 'refuse_recording', '21(1)', 'fulfilled', '2',
                      sha256('x'), 1, r.started_at + interval '0.5 s', current_date, '', 'pl', 'key', 'dialled', 1, now(),
                      ARRAY[sha256('x')]
               FROM calls c JOIN recordings r ON r.call_id = c.id WHERE c.id = $1""",
            UUID(call_id),
        )
    finally:
        await connection.close()
    async with ground.running() as service:
        await service.logged("asterisk_connected", kept_recordings=1)
        await ground.lab.world.hang_up(placed)
        shown = await kept_later(service, call_id)
        assert shown["recordings"][0]["duration_ms"] == 500
    assert ground.raw(shown) == []


async def test_invariant_6_an_asterisk_that_misses_the_stop_keeps_what_was_said_after_a_refusal(
    ground: Ground,
) -> None:
    """Asterisk goes on recording until the callee's channel is gone, some seconds after they refused."""
    callee = callees.answers(26)

    async def lose_the_stop(request: Message) -> list[Message]:
        return [] if request["uri"].endswith("/stop") else [request]

    async with relay(ground.lab.pbx.ari_url) as between, ground.running(ari=between.url) as service:
        between.on_request = lose_the_stop
        placed, _ = await ground.talk(service, callee)
        await ground.recorded_a_while()
        await ground.lab.world.callee_presses(callee.number, "2")
        outcome, _ = await ground.ended(service, placed)
        await service.logged("call_ended", call_id=outcome.call)
        shown = await kept_later(service, outcome.call)
    assert any(each.endswith("/stop") for each in between.kinds())
    at = {each["event"]: datetime.fromisoformat(each["at"]) for each in shown["events"]}
    (kept,) = shown["recordings"]
    said_before = (at["key_pressed"] - datetime.fromisoformat(kept["started_at"])).total_seconds()
    assert 0 < kept["duration_ms"] / 1000 < said_before + 0.2
    assert ground.raw(shown) == []


async def test_an_asterisk_killed_in_the_talk_leaves_an_open_call_or_a_broken_file(ground: Ground) -> None:
    async with ground.running() as service:
        placed, call_id = await ground.talk(service, callees.answers(16))
        await ground.recorded_a_while()
        await ground.lab.pbx.kill()
        await service.logged("asterisk_away")
        await ground.lab.pbx.start()
        await service.logged("asterisk_connected", kept_recordings=1)
        await ground.lab.world.hang_up(placed)
        shown = await kept_later(service, call_id)
        assert shown["ended_at"] is not None
        assert ground.raw(shown) == []
        again = await ground.dial(callees.answers(17), agent="drops-1")
        outcome, _ = await ground.ended(service, again)
        assert outcome.outcome == "bridged"


async def test_somebody_is_recorded_whom_nobody_could_be_given_to_hear(ground: Ground) -> None:
    """The recipients are lost while the service runs: the raw file would lie unencrypted in the spool. The talk goes
    on.
    """
    recipients = ground.folder / "keys" / "recordings.recipients"
    async with ground.running() as service:
        content = recipients.read_bytes()
        recipients.unlink()
        try:
            outcome, shown = await ground.ended(
                service, await ground.dial(callees.answers(21), agent="drops-1")
            )
        finally:
            recipients.write_bytes(content)
    assert (outcome.outcome, outcome.reason, shown["recordings"]) == ("bridged", "recording_failed", [])


async def test_a_callee_leg_lives_for_ever_when_nobody_ends_it(ground: Ground) -> None:
    async with ground.running() as service, ground.asterisk() as session:
        placed, call_id = await ground.talk(service, callees.answers(18))
        url = f"{ground.lab.pbx.ari_url}/ari/channels/ccari-{call_id}-callee/variable"
        async with session.get(url, params={"variable": "TIMEOUT(absolute)"}) as reply:
            left = float((await reply.json())["value"])
        assert 4 * 3600 - 60 < left <= 4 * 3600
        await ground.lab.world.hang_up(placed)
        await ground.ended(service, placed)


async def test_what_is_sent_is_not_what_asyncari_itself_would_send(ground: Ground) -> None:
    """Every operation that this Asterisk describes, with one argument of each type that it takes."""
    pbx = ground.lab.pbx
    sent: list[tuple[Any, ...]] = []

    class Wire:
        async def request(
            self, method: str, url: str, params: Any = None, data: str | None = None, headers: Any = None
        ) -> None:
            del headers
            sent.append((method, url, params, data))

    credentials = Credentials(pbx.ari_url, pbx.ari_user, pbx.ari_password, "described")
    async with aiohttp.ClientSession() as session:
        transport = await connect(session, credentials)
        reader = asyncio.create_task(transport.read(lambda _: None))
        try:
            client = Client(None, f"{pbx.ari_url}/", "described", transport)
            await client._init()
        finally:
            await transport.close()
            reader.cancel()
    described = {
        f"{name}.{nickname}": operation
        for name, resource in client.swagger.resources.items()
        for nickname, operation in resource.operations.items()
        if not operation.json["is_websocket"]
    }
    assert len(described) > 80
    samples = {"path": "PJSIP/ä+b;1", "query": ["a b", "ä"], "body": {"A": "ä"}}
    for name, operation in described.items():
        given = {each["name"]: samples[each["paramType"]] for each in operation.json.get("parameters", ())}
        operation.http_client = wire = Wire()
        await operation(**given)
        await Operation(operation, wire)(**given)
        theirs, ours = sent[-2:]
        assert ours == theirs, name


async def test_a_stuck_asterisk_hides_why_the_connection_ends(ground: Ground) -> None:
    """Asterisk does not close the WebSocket. asyncari's own client raised TimeoutError in place of the reason, and the
    service ended.
    """
    pbx = ground.lab.pbx
    credentials = Credentials(pbx.ari_url, pbx.ari_user, pbx.ari_password, "stuck")

    async def break_in(transport: Transport) -> None:
        async with open_ari(transport, credentials) as ari:
            await ari.check_modules()
            await pbx.kill(signal.SIGSTOP)
            raise AsteriskError("the reason")

    async with aiohttp.ClientSession() as session:
        transport = await connect(session, credentials)
        reader = asyncio.create_task(transport.read(lambda _: None))
        try:
            with pytest.raises(AsteriskError, match="the reason"):
                await break_in(transport)
            # not aiohttp's own time-out
            async with asyncio.timeout(CLOSE_SECONDS + 5):
                await transport.close()
        finally:
            await pbx.kill(signal.SIGCONT)
            reader.cancel()
            await asyncio.wait([reader])


async def test_a_read_only_user_or_a_missing_module_is_tried_for_ever(ground: Ground) -> None:
    pbx = ground.lab.pbx
    conf = pbx.home / "etc" / "ari.conf"
    conf.write_text(
        conf.read_text() + "\n[reader]\ntype=user\npassword=look\npassword_format=plain\nread_only=yes\n"
    )
    await pbx.cli("module reload res_ari.so")
    reader = ground.service()
    reader.environment = {
        **reader.environment,
        "CCARI_ASTERISK__USERNAME": "reader",
        "CCARI_ASTERISK__PASSWORD": "look",
    }

    async def without_snoop(message: Message) -> list[Message]:
        body = message.get("message_body", "").replace("res_stasis_snoop.so", "res_other.so")
        return [{**message, "message_body": body}]

    async with relay(pbx.ari_url) as between:
        between.on_reply = without_snoop
        lacking = ground.service(ari=between.url)
        for service, words in (
            (reader, "does not let the ARI user reader write: remove read_only in ari.conf"),
            (lacking, "Asterisk lacks res_stasis_snoop.so: load them in modules.conf"),
        ):
            await service.spawn()
            assert words in await given_up(service)


async def test_a_phone_that_is_not_registered_is_told_of_as_an_internal_error(ground: Ground) -> None:
    pbx = ground.lab.pbx
    credentials = Credentials(pbx.ari_url, pbx.ari_user, pbx.ari_password, "unregistered")
    async with aiohttp.ClientSession() as session:
        transport = await connect(session, credentials)
        reader = asyncio.create_task(transport.read(lambda _: None))
        try:
            async with open_ari(transport, credentials) as ari:
                with pytest.raises(Refused) as refusal:
                    await ari.create_channel(
                        "nobody", "PJSIP/phone", args="callee", originator=None, variables={}
                    )
        finally:
            await transport.close()
            reader.cancel()
    assert str(refusal.value) == (
        "Asterisk refused to create a channel: is the phone registered, or the trunk up? asterisk -rx 'pjsip show contacts' (500)"
    )
