"""Two nodes of a fleet on one database, each with a disk of its own: what one does holds on the other."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from ccari.calls.desk import Desk
from ccari.errors import ConfigError
from ccari.gating.inquiry import Inquiry
from ccari.gating.terms import Terms
from ccari.keyring.secrets import Holder, SecretStore
from ccari.policy.gate import Block
from ccari.policy.suppression import Reason
from ccari.ports.keying import Sought
from ccari.ports.lists import Listed
from ccari.store.key_versions import KeyVersions
from ccari.store.opened import Store
from ccari.store.policies import Book
from ccari.store.registers import Copy
from tests.unit.store.made import NUMBER, QUESTION, new_secret
from tests.unit.store.test_gatekeeper import ask, desk_of, gatekeeper
from tests.unit.store.test_lost_secrets import HEEDED

ACME = Holder("controller", "acme")


@pytest.fixture
async def here(store: Store, tmp_path: Path) -> SecretStore:
    """The keys of the node at which they are made; the other one has an earlier copy."""
    secrets = await store.key_versions.vouch(SecretStore(tmp_path / "here"))
    await store.key_versions.make(secrets, ACME)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    return secrets


@pytest.fixture
async def there(store: Store, tmp_path: Path, here: SecretStore) -> Desk:
    """The other node, which runs."""
    book, secrets = Book(store.policies), await store.key_versions.vouch(SecretStore(tmp_path / "there"))
    await book.reload()
    return desk_of(store, book, secrets)


async def bar(store: Store, secrets: SecretStore) -> None:
    await store.suppressions.add("acme", secrets.digests("acme", NUMBER), Reason.ERASURE, "cli:anna", "")


def copied(tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "here", tmp_path / "there", dirs_exist_ok=True)


async def inquiry(desk: Desk, store: Store) -> dict[str, Any]:
    asked = Inquiry(desk.book, store.calls, desk.secrets, desk.prompts)
    return await asked.answer(NUMBER.e164, "renewals")


async def test_invariant_1_a_bar_under_a_secret_that_another_node_has_made_does_not_bar_here(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path
) -> None:
    assert isinstance(await ask(there), Terms)
    await store.key_versions.make(here, ACME)
    await bar(store, here)
    assert await ask(there) is Block.STORE_UNAVAILABLE
    with pytest.raises(ConfigError, match=r"version 2 of the suppression secret of 'acme' in \S+ is missing"):
        await inquiry(there, store)
    copied(tmp_path)
    assert await ask(there) is Block.SUPPRESSED_ERASURE
    assert (await inquiry(there, store))["reason"] == "suppressed_erasure"


async def test_invariant_1_a_secret_that_another_node_makes_between_the_gate_and_the_dial_lets_a_call_through(
    store: Store, here: SecretStore, there: Desk
) -> None:
    asked = gatekeeper(there)
    terms = await asked.ask()
    assert isinstance(terms, Terms)
    await store.key_versions.make(here, ACME)
    await bar(store, here)
    with pytest.raises(ConfigError, match="version 2"):
        await asked.spend_token(terms)
    shown = await store.records.show_call(terms.opened.id)
    assert shown.call["dialled_at"] is None


async def test_invariant_1_a_secret_of_the_same_version_that_was_made_on_each_node(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path
) -> None:
    new_secret(SecretStore(tmp_path / "there"), "acme")
    assert isinstance(await ask(there), Terms)
    await store.key_versions.make(here, ACME)
    await bar(store, here)
    assert await ask(there) is Block.STORE_UNAVAILABLE


async def test_invariant_1_a_secret_takes_the_place_of_one_under_which_another_node_is_entering_a_bar(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever rotates on both nodes at once: to see whether anything hangs on the first secret takes seconds among millions of rows."""
    await store.key_versions.make(here, ACME)
    versions, elsewhere = KeyVersions(store.database), cast("SecretStore", there.secrets)
    is_needed = versions.is_needed

    async def entering_meanwhile(holder: Holder, version: int) -> bool:
        found = await is_needed(holder, version)
        await bar(store, here)
        return found

    monkeypatch.setattr(versions, "is_needed", entering_meanwhile)
    with pytest.raises(
        ConfigError, match=r"version 2 .* is not the one that data in the database are kept under"
    ):
        await versions.make(elsewhere, ACME)
    copied(tmp_path)
    assert await ask(there) is Block.SUPPRESSED_ERASURE


async def test_a_node_on_which_an_older_secret_was_retired_calls_nobody_any_more(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path
) -> None:
    await store.key_versions.make(here, ACME)
    copied(tmp_path)
    SecretStore(tmp_path / "there").retire("acme", 1)
    assert isinstance(await ask(there), Terms)


async def test_keys_that_nothing_hung_on_and_that_were_made_anew_shut_the_gate_for_ever(
    store: Store, here: SecretStore, tmp_path: Path
) -> None:
    await store.key_versions.make(here, ACME)
    anew = await store.key_versions.vouch(SecretStore(tmp_path / "anew"))
    await store.key_versions.make(anew, ACME)
    known = await store.database.rows("SELECT key_version FROM key_checks")
    assert known == [{"key_version": 1}]


async def test_invariant_1_a_register_that_was_loaded_on_another_node_counts_as_empty_here(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path
) -> None:
    """It has a secret of its own, which has replaced the one that is here."""
    robinson = Holder("register", "robinson")
    await store.key_versions.make(here, robinson)
    copied(tmp_path)
    secrets = cast("SecretStore", there.secrets)
    digests, listed = secrets.digests("acme", NUMBER), secrets.listed_as(["robinson"], NUMBER)
    asked, _ = await store.calls.facts(QUESTION, Sought(digests, listed))
    secrets.heed(asked.secrets, digests)
    shutil.rmtree(tmp_path / "here/registers")
    anew = SecretStore(tmp_path / "here")
    new_secret(anew, "robinson", "register")
    (key,) = anew.register_keys("robinson")
    await store.key_versions.replace(robinson, key.version, key.check)
    asked, _ = await store.calls.facts(QUESTION, Sought(digests, listed))
    with pytest.raises(
        ConfigError, match=r"version 1 of the suppression secret of 'robinson' in .* is not the right one"
    ):
        secrets.heed(asked.secrets, digests)


async def test_invariant_1_a_register_whose_secrets_are_gone_while_the_node_runs_counts_as_empty(
    store: Store, here: SecretStore, there: Desk, tmp_path: Path
) -> None:
    async def copy() -> AsyncIterator[list[Any]]:
        yield [Listed(NUMBER, None, None)]

    await store.policies.apply(HEEDED, "test")
    await store.key_versions.make(here, Holder("register", "robinson"))
    (key,) = here.register_keys("robinson")
    whole = Copy("robinson", datetime.now(UTC), "anna", update=False, shrunk=False, dated=True)
    await store.registers.load(
        whole, key, copy(), lambda: bytes(32), keep_going=False, progress=lambda _done, _of: None
    )
    copied(tmp_path)
    assert (await inquiry(there, store))["reason"] == "suppressed_register"
    shutil.rmtree(tmp_path / "there/registers")
    assert (await inquiry(there, store))["reason"] == "register_stale"
