"""What ``ccari doctor`` says about webhooks."""

from pathlib import Path

from ccari import config
from ccari.cli.doctor.configuration import configuration
from ccari.cli.doctor.findings import State
from ccari.cli.doctor.webhooks import webhooks
from ccari.config import Settings
from ccari.store.opened import Store
from tests.unit.doctor.conftest import Patient

SECRET = "whsec_" + "A" * 43 + "="


def settings(patient: Patient, **keys: str) -> Settings:
    """The patient's settings, with a webhook."""
    file = patient.write()
    told = "\n".join(f'{name} = "{value}"' for name, value in keys.items())
    hook = f'[[webhooks]]\nname = "crm"\nurl = "https://crm.example/hook"\nevents = ["call.ended"]\n{told}\n'
    file.write_text(f"{file.read_text()}\n{hook}")
    return config.load(file)


def test_a_webhook_without_its_secret_is_found_by_a_service_that_does_not_begin(
    patient: Patient, tmp_path: Path
) -> None:
    file = tmp_path / "crm.secret"
    (found,) = webhooks(settings(patient, secret_file=str(file)))
    assert (found.check, found.state) == ("webhook crm", State.FAULT)
    assert str(file) in found.found
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    (found,) = webhooks(settings(patient, secret_file=str(file)))
    assert (found.state, found.advice.startswith("chmod 600 ")) == (State.FAULT, True)
    file.chmod(0o600)
    (found,) = webhooks(settings(patient, secret_file=str(file)))
    assert found.state is State.OK
    (found,) = webhooks(settings(patient, secret="whsec_short"))  # noqa: S106 - none
    assert (found.state, "whsec_short" in found.found) == (State.FAULT, False)


def test_a_secret_of_a_webhook_is_everybodys_to_read(patient: Patient) -> None:
    del patient.settings["asterisk"]["password"]
    made = settings(patient, secret=SECRET)
    patient.file.chmod(0o644)
    (found,) = configuration(patient.file, made)
    assert (found.state, found.advice) == (State.WARNING, f"chmod o-r {patient.file}")


async def test_what_nobody_was_told_passes(patient: Patient, store: Store) -> None:
    async with store.database.connection() as connection:
        await connection.execute(
            "INSERT INTO webhook_deliveries (endpoint, event, subject, state, settled_at)"
            " VALUES ('crm', 'call.ended', 'one', 'given_up', now()), ('crm', 'call.ended', 'two', 'delivered', now())"
        )
    found = await patient.only("webhook crm")
    assert (found.state, found.found) == (State.WARNING, "ccari gave up delivering 1 message to it")
    assert found.advice.startswith("ccari webhooks list --state given_up --endpoint crm")
