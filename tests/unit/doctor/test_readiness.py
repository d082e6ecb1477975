"""What a policy needs, as ``ccari policy`` and ``ccari doctor`` both report it."""

import json
from datetime import UTC, datetime, timedelta

from ccari import config
from ccari.cli.doctor.findings import State
from ccari.cli.doctor.readiness import lacking
from ccari.forward.secret import WebhookSecrets
from ccari.keyring.secrets import SecretStore
from ccari.policy.declaration import read
from ccari.store.opened import Store
from tests.unit.doctor.conftest import Patient
from tests.unit.recordings.disks import mounted
from tests.unit.store import made
from tests.unit.store.made import new_secret
from tests.unit.store.test_registers import listed, load

AGE = timedelta(days=20)


def listing(campaign: str, *, preset: str = "") -> str:
    return f"""
[[campaigns]]
id = "{campaign}"
controller = "acme"
purpose = "nowa oferta"
legal_basis = "legitimate_interest"
registers = ["robinson"]
data_source = "umowa zawarta z ACME"
dial = "PJSIP/{{number}}@trunk"
recording = {{ mode = "off" }}
notice = {{ prompts = [] }}
{preset and f'preset = "{preset}"'}
"""


async def lines(patient: Patient, store: Store, document: str) -> list[str]:
    return await lacking(config.load(patient.write()), store, read(document))


async def test_a_country_that_wants_newer_copies_stops_the_calls_to_another_or_goes_unheeded(
    patient: Patient, store: Store
) -> None:
    document = (
        made.POLICY
        + '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n'
        + listing("polish")
        + listing("italian", preset="IT")
    )
    await store.policies.apply(document, "test")
    as_of = datetime.now(UTC) - AGE
    await load(store, listed(0), as_of=as_of)
    new_secret(SecretStore(patient.keys), "robinson", "register")
    told = f"the copy of the register 'robinson' is dated {as_of:%Y-%m-%d %H:%M} UTC, and may be at most {{}} days old: {{}}"
    too_old = told.format(15, "it is too old")
    assert await lines(patient, store, document) == [
        f"campaign 'italian': {too_old}: ccari registers import robinson FILE"
    ]
    found = [each for each in await patient.examined() if each.check == "register robinson"]
    assert [(each.state, each.found) for each in found] == [
        (State.OK, told.format(31, "1 number")), (State.FAULT, too_old)
    ]  # fmt: skip


async def test_a_request_that_cannot_be_passed_on_is_found_when_it_is(patient: Patient, store: Store) -> None:
    drop, secrets = patient.folder / "drop", WebhookSecrets(patient.keys)
    forward = f'forward = {{ url = "https://acme.example/hook", folder = {json.dumps(str(drop))} }}'
    document = made.POLICY.replace('dpo = "iod@acme.example"', f'dpo = "iod@acme.example"\n{forward}')
    secrets.create("acme")
    secrets.path("acme").write_text("whsec_\n")
    unsigned, undelivered = await lines(patient, store, document)
    assert unsigned.startswith("controller 'acme': its requests cannot be signed: ")
    assert unsigned.endswith(" contains no secret such as whsec_…: restore it from the backup")
    assert undelivered.startswith(f"controller 'acme': ccari cannot write to the folder {drop}")
    drop.mkdir()
    secrets.path("acme").unlink()
    secrets.create("acme")
    assert await lines(patient, store, document) == []
    with mounted(drop, "size=64k"):
        (hidden,) = await lines(patient, store, document)
        (drop / "requests").mkdir()
        inside = document.replace(json.dumps(str(drop)), json.dumps(str(drop / "requests")))
        assert await lines(patient, store, inside) == []
    assert hidden == (
        f"controller 'acme': {drop} is a mount point: without its disk, files would be lost in it, so requests are not passed on: "
        "make a folder in it, and name that in the policy"
    )


async def test_a_copy_that_will_be_too_old_blocks_a_policy_already(patient: Patient, store: Store) -> None:
    document = (
        made.POLICY
        + '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\nmax_age_days = 22\n'
        + listing("polish")
    )
    await store.policies.apply(document, "test")
    await load(store, listed(0), as_of=datetime.now(UTC) - AGE)
    new_secret(SecretStore(patient.keys), "robinson", "register")
    assert await lines(patient, store, document) == []
    assert (await patient.only("register robinson")).state is State.WARNING


async def test_a_policy_that_begins_to_record_for_nobody_passes(patient: Patient, store: Store) -> None:
    """Each campaign that records is named, and no other."""
    silent = '[[registers]]\nid = "robinson"\nname = "Lista Robinsonów"\n' + listing("silent")
    await store.policies.apply(made.POLICY, "test")
    await load(store, listed(0), as_of=datetime.now(UTC))
    new_secret(SecretStore(patient.keys), "robinson", "register")
    (patient.keys / "recordings.recipients").unlink()
    none = f"there is no recipient of recordings in {patient.keys / 'recordings.recipients'}"
    advice = "restore it from the backup, or if there has never been one run: ccari keys init"
    told = await lines(patient, store, made.POLICY + silent)
    assert told == [f"campaign 'renewals': {none}: {advice}"]
    assert await lines(patient, store, made.POLICY.replace('"notice"', '"off"') + silent) == []
