"""``ccari requests spooled`` and ``replay``, run as a person runs them, and what ``ccari gate`` says meanwhile."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.ports.calls import OpenedCall
from ccari.store.database import Database
from ccari.store.opened import Store
from tests.integration.service import Service
from tests.unit.store import made
from tests.unit.store.commands import on
from tests.unit.store.made import new_secret
from tests.unit.store.test_replaying import Node


@pytest.fixture
def node(database: Database, tmp_path: Path) -> Node:
    return Node(database, tmp_path)


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    return on(dsn, tmp_path)


@pytest.fixture
async def call(node: Node) -> OpenedCall:
    return await node.opened()


async def test_a_right_that_waits_is_not_told_of_or_with_its_number(
    ccari: Service, node: Node, call: OpenedCall
) -> None:
    """Even if there is no database to ask."""
    nowhere = {"CCARI_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none"}
    done = await ccari.ccari("requests", "spooled", environment=nowhere)
    assert (done.code, done.out) == (0, "no rights wait on this node\n")
    await node.press(call)
    done = await ccari.ccari("requests", "spooled", "--json", environment=nowhere)
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert (row["state"], row["right"], row["controller"], row["call_id"], row["fault"]) == (
        "waiting", "erasure", "acme", str(call.id), None
    )  # fmt: skip
    assert row["number"] == made.NUMBER.masked
    assert made.NUMBER.e164 not in done.out
    (node.journal._key.__self__.path).unlink()  # type: ignore[attr-defined]
    (row,) = json.loads((await ccari.ccari("requests", "spooled", "--json", environment=nowhere)).out)
    assert row["right"] is None
    assert "journal.key: restore it from the backup" in row["fault"]


async def test_a_right_that_waits_cannot_be_registered_by_hand_or_is_twice(
    ccari: Service, node: Node, store: Store, call: OpenedCall
) -> None:
    await node.press(call)
    done = await ccari.ccari("requests", "replay")
    assert (done.code, done.out) == (0, "registered: ACME-2026-000001; put aside: 0; waiting: 0\n"), done.err
    assert (await ccari.json("requests", "replay")) == {"registered": [], "aside": [], "waiting": 0}
    assert len(await store.requests.list(None, 10)) == 1


async def test_what_is_aside_is_never_registered_though_what_kept_it_is_mended(
    ccari: Service, node: Node, store: Store, database: Database
) -> None:
    """The policy's revision was not in this database yet."""
    await node.press(hopeless := replace(made.call(), revision=2))
    (torn := node.journal.aside / "x.right.torn").write_bytes(b"ccari")
    done = await ccari.ccari("requests", "replay")
    assert (done.code, done.out) == (1, "registered: none; put aside: 1; waiting: 0\n")
    assert done.err.splitlines()[-1] == "ccari: not all could be registered: ccari requests spooled"
    rows = await ccari.json("requests", "spooled")
    assert [(each["state"], each["call_id"]) for each in rows] == [
        ("aside", str(hopeless.id)),
        ("aside", None),
    ]
    await store.policies.apply(made.POLICY.replace("odnowienie", "zmiana"), "test")
    done = await ccari.ccari("requests", "replay", "--aside")
    assert done.out == "registered: ACME-2026-000001; put aside: 0; waiting: 0\n", done.err
    assert node.journal.put_by() == [torn.name]
    (row,) = await store.requests.list(None, 10)
    assert row["call_id"] == hopeless.id


async def test_invariant_1_a_right_that_waits_bars_nobody_once_its_secret_is_retired(
    ccari: Service, node: Node, call: OpenedCall, store: Store, database: Database, tmp_path: Path
) -> None:
    """It was pressed under the first version, under which nothing else is kept."""
    await store.policies.apply(made.POLICY, "test")
    keys = SecretStore(tmp_path / "keys")
    new_secret(keys, "acme")
    await node.press(call)
    new_secret(keys, "acme")
    await database.rows("UPDATE calls SET digest = NULL, key_version = NULL")
    retire = ("keys", "retire", "--version", "1")
    done = await ccari.ccari(*retire)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("ccari: 1 right that may have been pressed under version 1 waits on this node")
    # one that only another key can read may be of it too
    journal_key = tmp_path / "keys" / "journal.key"
    kept = journal_key.read_bytes()
    journal_key.write_text("ab" * 32)
    assert "may have been pressed under version 1" in (await ccari.ccari(*retire)).err
    journal_key.write_bytes(kept)
    assert (await ccari.ccari("requests", "replay")).code == 0
    assert "version 1 of 'acme' is needed for 1 suppression, 1 request" in (await ccari.ccari(*retire)).err


async def test_invariant_1_a_number_may_be_called_by_hand_while_a_right_waits(
    ccari: Service, node: Node, call: OpenedCall, tmp_path: Path
) -> None:
    await ccari.ccari("keys", "init")
    await node.press(call)
    done = await ccari.ccari("gate", made.NUMBER.e164, "--campaign", "renewals")
    assert (done.code, done.out) == (1, "")
    assert "rights that were pressed wait to be registered" in done.err
