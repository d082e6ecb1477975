"""Recordings over HTTP: whose they are, what holds them, and who has been given their files."""

from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import pyrage

from ccari.policy.recording import RecordingState
from ccari.ports.access import Role
from ccari.ports.recordings import InPlace
from ccari.store.opened import Store
from tests.unit.store import made
from tests.unit.store.kept import DAY, NOW, Shelf
from tests.unit.store.test_listening_commands import put
from tests.unit.web.api import NUMBER, Api

RECORDINGS, HOLDS = "/v1/recordings", "/v1/holds"


async def stored(store: Store, tmp_path: Path, *, plain: bool = False) -> InPlace:
    key = tmp_path / "age.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(str(pyrage.x25519.Identity.generate()))
    return await put(store, tmp_path / "recordings", None if plain else key)


async def fetched(store: Store, recording: InPlace) -> list[dict[str, str]]:
    events = (await store.records.show_call(recording.tag.call_id)).events
    return [each["fields"] for each in events if each["event"] == "recording_fetched"]


async def test_a_misspelt_state_finds_no_recordings_instead_of_being_refused(api: Api) -> None:
    refused = await api.ask("GET", f"{RECORDINGS}?state=kept", role=Role.AUDITOR)
    fault = refused.problem(HTTPStatus.UNPROCESSABLE_ENTITY)["errors"][0]
    assert fault["parameter"] == "state"
    assert "stored" in fault["detail"]
    for known in RecordingState:
        assert (await api.ask("GET", f"{RECORDINGS}?state={known}")).status == HTTPStatus.OK


async def test_a_file_is_another_than_lies_there_or_nobody_knows_who_has_it(
    api: Api, store: Store, tmp_path: Path
) -> None:
    recording = await stored(store, tmp_path)
    path = f"{RECORDINGS}/{recording.tag.recording_id}/file"
    headers = {"authorization": f"Bearer {await api.of(Role.AUDITOR)}"}
    async with api.session.get(api.url + path, headers=headers) as answer:
        assert await answer.read() == (tmp_path / "recordings" / recording.kept.file).read_bytes()
        assert answer.headers["content-disposition"].endswith(f'{recording.tag.recording_id}.flac.age"')
    who = "token:the-auditor"
    assert await fetched(store, recording) == [{"recording": str(recording.tag.recording_id), "by": who}]
    rows = await store.database.rows(
        "SELECT event, fields->>'who' AS who, fields->>'call' AS call FROM accesses"
    )
    assert rows == [{"event": "recording_fetched", "who": who, "call": str(recording.tag.call_id)}]


async def test_a_file_that_is_plain_missing_or_cut_is_given_out(
    api: Api, store: Store, tmp_path: Path
) -> None:
    plain, missing, cut = [await stored(store, tmp_path, plain=each) for each in (True, False, False)]
    (tmp_path / "recordings" / missing.kept.file).unlink()
    file = tmp_path / "recordings" / cut.kept.file
    file.write_bytes(file.read_bytes()[:-1])
    for each, words in ((plain, "plain audio"), (missing, "is missing"), (cut, "bytes, not")):
        told = await api.ask("GET", f"{RECORDINGS}/{each.tag.recording_id}/file")
        assert words in told.problem(HTTPStatus.CONFLICT)["detail"]
    (await api.ask("GET", f"{RECORDINGS}/{uuid4()}/file")).problem(HTTPStatus.NOT_FOUND)


async def test_whoever_may_not_see_a_recording_learns_that_it_is_there(
    api: Api, store: Store, tmp_path: Path
) -> None:
    """From the words with which a file stored as plain audio is refused."""
    plain = await stored(store, tmp_path, plain=True)
    token = await api.token(Role.DPO, controllers={"other"})
    told = [
        (await api.ask("GET", f"{RECORDINGS}/{each}/file", token=token)).problem(HTTPStatus.NOT_FOUND)
        for each in (plain.tag.recording_id, uuid4())
    ]
    assert told[0] == told[1]


async def test_a_token_of_one_controller_reaches_the_recordings_of_another(
    api: Api, store: Store, shelf: Shelf, tmp_path: Path
) -> None:
    mine, theirs = await stored(store, tmp_path), await shelf.put(await shelf.call(made.call("other")))
    token = await api.token(Role.DPO, controllers={"acme"})
    listed = (await api.ask("GET", RECORDINGS, token=token)).json["items"]
    assert [each["id"] for each in listed] == [str(mine.tag.recording_id)]
    for path in (f"{RECORDINGS}/{theirs}", f"{RECORDINGS}/{theirs}/file"):
        (await api.ask("GET", path, token=token)).problem(HTTPStatus.NOT_FOUND)
    call = (await shelf.row(theirs))["call_id"]
    for what in ({"recording": str(theirs)}, {"call": str(call)}):
        (await api.ask("POST", HOLDS, {**what, "reason": "x"}, token=token)).problem(HTTPStatus.NOT_FOUND)
    wrong = {"number": NUMBER, "controller": "other", "reason": "x"}
    (await api.ask("POST", HOLDS, wrong, token=token)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    placed = (await api.ask("POST", HOLDS, {"recording": str(theirs), "reason": "lawsuit"})).json
    (await api.ask("POST", f"{HOLDS}/{placed['id']}/release", {"reason": "x"}, token=token)).problem(
        HTTPStatus.NOT_FOUND
    )
    assert (await api.ask("GET", HOLDS, token=token)).json["items"] == []
    assert len((await api.ask("GET", f"{HOLDS}?controller=other")).json["items"]) == 1


async def test_a_recording_is_listed_with_another_tag_or_end(api: Api, store: Store, tmp_path: Path) -> None:
    recording = await stored(store, tmp_path)
    shown = (await api.ask("GET", f"{RECORDINGS}/{recording.tag.recording_id}", role=Role.OPS)).json
    listed = (
        await api.ask("GET", f"{RECORDINGS}?state=stored&campaign=renewals&call={recording.tag.call_id}")
    ).json
    assert [{**each, "tag": shown["tag"]} for each in listed["items"]] == [shown]
    assert (shown["tag"]["recording_id"], shown["due_for"], shown["held_by"]) == (
        str(recording.tag.recording_id), "retention", [],
    )  # fmt: skip
    assert (await api.ask("GET", f"{RECORDINGS}?legal_basis=consent")).json["items"] == []
    await api.ask("POST", HOLDS, {"number": NUMBER, "controller": "acme", "reason": "claim"})


async def test_a_page_of_recordings_leaves_out_or_repeats_one(api: Api, shelf: Shelf) -> None:
    call = await shelf.call()
    kept = {str(await shelf.put(call, recorded=NOW - (each % 3) * DAY)) for each in range(7)}
    found: list[str] = []
    after = ""
    while after is not None:
        page = (await api.ask("GET", f"{RECORDINGS}?limit=3{after and f'&after={after}'}")).json
        found += [each["id"] for each in page["items"]]
        after = page["next"]
    assert len(found) == len(kept)
    assert set(found) == kept


async def test_a_hold_is_placed_on_nothing_or_ends_unseen(api: Api, store: Store, shelf: Shelf) -> None:
    recording = await shelf.put()
    call = (await shelf.row(recording))["call_id"]
    key = {"idempotency-key": "hold-1"}
    placed = [
        (
            await api.ask(
                "POST", HOLDS, {**what, "reason": "claim 7"}, headers=key if "call" in what else None
            )
        ).json
        for what in ({"recording": str(recording)}, {"call": str(call)}, {"call": str(call)})
    ]
    assert [(each["on"], each["recordings"], each["placed_by"]) for each in placed] == [
        ("recording", 1, "token:the-dpo"), ("call", 1, "token:the-dpo"), ("call", 1, "token:the-dpo"),
    ]  # fmt: skip
    assert placed[1] == placed[2]
    for wrong, status in (
        ({"reason": "x"}, 422), ({"recording": str(recording), "call": str(call), "reason": "x"}, 422),
        ({"recording": str(recording), "reason": " "}, 422), ({"recording": str(uuid4()), "reason": "x"}, 404),
        ({"request": "ACME-2026-000099", "reason": "x"}, 404),
        ({"number": NUMBER, "controller": "acme", "reason": "of 600 100 001"}, 422),
    ):  # fmt: skip
        (await api.ask("POST", HOLDS, wrong)).problem(status)
    released = await api.ask("POST", f"{HOLDS}/{placed[0]['id']}/release", {"reason": "over"})
    assert (released.json["released_by"], released.json["release_reason"]) == ("token:the-dpo", "over")
    (await api.ask("POST", f"{HOLDS}/{placed[0]['id']}/release", {"reason": "over"})).problem(
        HTTPStatus.NOT_FOUND
    )
    first = (await api.ask("GET", f"{HOLDS}?released=true&limit=1")).json
    rest = (await api.ask("GET", f"{HOLDS}?released=true&after={first['next']}")).json
    assert [each["id"] for each in (*first["items"], *rest["items"])] == [placed[1]["id"], placed[0]["id"]]
    assert rest["next"] is None
