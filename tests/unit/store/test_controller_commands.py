"""``ccari controllers``, run as a person runs it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.rights import Right
from tests.integration.service import Service
from tests.unit.store import made, person
from tests.unit.store.commands import AS_WRITTEN, on, refused, unseen
from tests.unit.store.kept import Shelf
from tests.unit.store.made import new_secret
from tests.unit.store.test_controllers import BOTH_CALL, GERMAN, NOTED, leaving
from tests.unit.store.test_replaying import Node

__all__ = ["leaving"]

#: What a command says of everything that is held of acme.
DELETED = "4 contacts, 4 consents, 2 heard notices, 2 lifted suppressions, 2 suppressions"


@pytest.fixture
def ccari(dsn: str, tmp_path: Path) -> Service:
    secrets = SecretStore(tmp_path / "keys")
    for controller in ("acme", "beta"):
        new_secret(secrets, controller)
    return on(dsn, tmp_path)


@pytest.fixture
def both(tmp_path: Path) -> str:
    """A policy file by which both controllers' campaigns call."""
    file = tmp_path / "both.toml"
    file.write_text(BOTH_CALL)
    return str(file)


async def bars(shelf: Shelf) -> list[str]:
    rows = await shelf.database.rows("SELECT DISTINCT controller FROM suppressions ORDER BY 1")
    return [row["controller"] for row in rows]


async def test_a_dpo_cannot_see_or_delete_what_is_held(
    ccari: Service, leaving: Shelf, both: str, tmp_path: Path
) -> None:
    listed = unseen(await ccari.ccari("controllers", "list"))
    assert [line.split()[:6] for line in listed.out.splitlines()[1:]] == [
        ["acme", "yes", "2", "2", "4", "4"], ["beta", "yes", "offers", "2", "2", "4"],
    ]  # fmt: skip
    looked = unseen(await ccari.ccari("controllers", "delete", "acme"))
    assert looked.code == 0
    assert [line.split("  ")[0] for line in looked.out.partition("\n\n")[0].splitlines()] == [
        "GOES", "contacts", "consents", "heard notices", "lifted suppressions", "suppressions",
    ]  # fmt: skip
    assert looked.err == "nothing is deleted by this look: add --yes to delete it; that cannot be undone\n"
    assert await bars(leaving) == ["acme", "beta"]
    done = unseen(await ccari.ccari("controllers", "delete", "acme", "--yes"))
    first, then = done.out.splitlines()
    assert first.startswith("acme: deleted by cli:")
    assert first.endswith(DELETED)
    assert str(tmp_path / "keys" / "acme") in then
    assert await bars(leaving) == ["beta"]
    again = await ccari.ccari("controllers", "delete", "acme", "--yes")
    assert (again.code, again.out) == (0, done.out)
    looked = await ccari.ccari("controllers", "delete", "acme")
    assert (looked.code, looked.err) == (0, "")
    assert looked.out.startswith("nothing is left to delete\n")
    assert DELETED in looked.out
    refused(await ccari.ccari("policy", "apply", both), "'acme' was deleted on", "another id")
    barring = await ccari.ccari("suppress", "add", AS_WRITTEN, "--controller", "acme")
    refused(barring, "'acme' was deleted on", "ccari requests add")
    checked = await ccari.ccari("policy", "check", both)
    assert (checked.code, "'acme' was deleted on" in checked.err) == (1, True)
    (audited,) = await ccari.json("audit", "list", "--access", "controller_deleted")
    assert audited["what"]["suppressions"] == "2"
    (begun,) = await ccari.json("audit", "list", "--access", "controller_deletion_begun")
    assert begun["what"] == {"controller": "acme", "drop_proof": "no"}


async def test_once_it_is_gone_its_keys_are_missed(ccari: Service, leaving: Shelf, tmp_path: Path) -> None:
    """To be destroyed, because with them somebody could still tell whose digest a backup holds."""
    assert (await ccari.ccari("controllers", "delete", "acme", "--yes")).code == 0
    for file in (folder := tmp_path / "keys" / "acme").iterdir():
        file.unlink()
    folder.rmdir()
    assert (await ccari.ccari("suppress", "check", AS_WRITTEN, "--controller", "beta")).code == 0
    (acme, beta) = await ccari.json("controllers", "list")
    assert (acme["controller"], acme["keys"], acme["held"], acme["obstacles"]) == ("acme", False, {}, [])
    assert sum(acme["deleted"]["deleted"].values()) == 14
    assert (beta["keys"], beta["deleted"]) == (True, None)


async def test_a_program_cannot_tell_what_goes(ccari: Service, leaving: Shelf) -> None:
    told = await ccari.json("controllers", "delete", "acme")
    goes = {"contacts": 4, "consents": 4, "notices": 2, "lifted": 2, "suppressions": 2}
    assert told == {
        "controller": "acme", "goes": goes, "obstacles": [], "deleted": None,
        "stays": {**dict.fromkeys(("calls", "requests", "recordings", "erasures", "holds"), 0), "accesses": NOTED},
    }  # fmt: skip
    done = await ccari.json("controllers", "delete", "acme", "--yes")
    assert (done["controller"], done["deleted"]) == ("acme", goes)
    assert done["finished_at"] is not None


@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["looked", "yes"])
async def test_what_has_to_be_over_is_not_told_line_by_line(
    ccari: Service, leaving: Shelf, both: str, yes: tuple[str, ...]
) -> None:
    assert (await ccari.ccari("policy", "apply", both)).code == 0
    await leaving.call()
    await person.asked(leaving, Right.ACCESS)
    done = unseen(await ccari.ccari("controllers", "delete", "acme", *yes))
    assert done.code == 1
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["ccari"] * 4
    for told, line in zip(
        done.err.splitlines(),
        (
            "'renewals' is in the policy",
            "1 call is in progress",
            "1 request is open",
            "1 step of a request waits",
        ),
        strict=True,
    ):
        assert told.startswith("ccari: acme: ")
        assert line in told
    assert await bars(leaving) == ["acme", "beta"]
    listed = await ccari.ccari("controllers", "delete", "acme", "--json")
    assert (listed.code, len(json.loads(listed.out)["obstacles"])) == (1, 4)
    acme, _ = await ccari.json("controllers", "list")
    assert (acme["campaigns"], len(acme["obstacles"])) == (["renewals"], 4)


async def test_a_right_that_waits_on_this_node_comes_back(
    ccari: Service, leaving: Shelf, tmp_path: Path
) -> None:
    node = Node(leaving.database, tmp_path)
    await node.press(replace(made.call("beta"), revision=1))
    assert (await ccari.ccari("controllers", "delete", "acme")).code == 0
    await node.press(made.call())
    (node.journal.aside / "x.right.torn").write_bytes(b"ccari")
    done = unseen(await ccari.ccari("controllers", "delete", "acme", "--yes"))
    own = "1 right of its callees waits on this node: ccari requests replay --aside"
    torn = "1 torn right on this node may be its, and can never be read: ccari requests spooled"
    told = done.err.splitlines()
    assert [line.startswith(f"ccari: acme: {own}") for line in told] == [True, False]
    assert [line.startswith(f"ccari: acme: {torn}") for line in told] == [False, True]
    acme, beta = await ccari.json("controllers", "list")
    assert [line.startswith(own) for line in acme["obstacles"]] == [True, False]
    assert [line.startswith(torn) for line in acme["obstacles"]] == [False, True]
    assert len(beta["obstacles"]) == 3  # its campaign, its right, and the torn one


async def test_the_proof_of_consents_goes_unasked(ccari: Service, leaving: Shelf) -> None:
    await leaving.store.policies.apply(GERMAN, "cli:anna")
    done = await ccari.ccari("controllers", "delete", "acme", "--yes")
    refused(done, "the proof of 4 consents", "§7a(2) UWG", "--drop-proof")
    done = await ccari.ccari("controllers", "delete", "acme", "--yes", "--drop-proof")
    assert done.out.splitlines()[0].endswith(DELETED)


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ("nobody", "nobody"), ("ACME", "ACME"), ("acme ", "acme "), ("", "unknown"), ("../acme", "../acme"), ("acme\n\x1b[31m", "acme[31m"),
        ("%", "%"), ("'; DROP TABLE suppressions; --", "'; DROP TABLE suppressions; --"), ("ą" * 300, "ą" * 40),
        ("+48600100001", "…"),
    ],
)  # fmt: skip
async def test_a_name_that_is_nobodys_is_taken_for_a_controllers(
    ccari: Service, leaving: Shelf, named: str, shown: str
) -> None:
    done = unseen(await ccari.ccari("controllers", "delete", "--yes", "--", named))
    refused(done, f"no controller {shown!r} is known: ccari controllers list")
    assert await bars(leaving) == ["acme", "beta"]
    assert not await leaving.database.rows("SELECT FROM controller_deletions")


async def test_a_controller_that_only_the_keys_have_is_not_told_of(
    ccari: Service, empty: str, tmp_path: Path
) -> None:
    fresh = {"CCARI_DATABASE__URL": empty}
    listed = await ccari.ccari("controllers", "list", environment=fresh)
    assert [line.split()[:2] for line in listed.out.splitlines()[1:]] == [["acme", "no"], ["beta", "no"]]
    assert (await ccari.ccari("controllers", "delete", "acme", environment=fresh)).out.startswith(
        "nothing is left"
    )
    for folder in (tmp_path / "keys").iterdir():
        for file in folder.iterdir():
            file.unlink()
    listed = await ccari.ccari("controllers", "list", environment=fresh)
    assert (listed.code, listed.out) == (0, "no controller is known\n")
