"""``ccari doctor``, run as a person runs it."""

import json
import re
from pathlib import Path

import pytest

from ccari.cli.doctor.findings import State, refused
from ccari.errors import ConfigError
from tests.integration.service import Done, Service
from tests.unit.doctor.conftest import PASSWORD, Patient


async def run(patient: Patient, *options: str) -> Done:
    service = Service({"CCARI_CONFIG": str(patient.write())}, patient.folder / "log", patient.folder / "err")
    return await service.ccari("doctor", *options)


async def test_a_line_lacks_what_to_do_or_shows_a_secret_or_a_fault_exits_with_0(patient: Patient) -> None:
    (patient.keys / "acme" / "suppression-1.key").unlink()
    shown, listed = await run(patient), await run(patient, "--json")
    assert (shown.code, shown.err, listed.code, listed.err) == (1, "", 1, "")
    rows = json.loads(listed.out)
    assert all(each.keys() == {"check", "state", "found", "advice"} for each in rows)
    assert all((each["advice"] is None) is (each["state"] == "ok") for each in rows)
    lines = shown.out.splitlines()
    assert len(lines) == len(rows)
    line = next(each for each in lines if "secret acme" in each)
    assert re.fullmatch(
        r"fault    secret acme  +'acme' has no suppression secret in \S+ -> restore it from .*", line
    )
    # the embedded server trusts its clients, and its socket's address is no secret
    assert PASSWORD not in shown.out + listed.out


async def test_a_warning_fails_or_a_fault_does_not_without_a_configuration(
    patient: Patient, tmp_path: Path
) -> None:
    nowhere = Service({"CCARI_CONFIG": str(tmp_path / "none.toml")}, tmp_path / "log", tmp_path / "err")
    done = await nowhere.ccari("doctor")
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("fault    configuration  cannot read ")
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("told", "found", "advice"),
    [
        ("away: Connection refused", "away: Connection refused", "see"),
        ("away: refused: is it running?", "away: refused", "is it running?"),
        ("no key: restore it, or run: ccari keys init", "no key", "restore it, or run: ccari keys init"),
    ],
)
def test_what_is_wrong_is_told_as_what_to_do(told: str, found: str, advice: str) -> None:
    made = refused("x", ConfigError(told), "see")
    assert (made.state, made.found, made.advice) == (State.FAULT, found, advice)
