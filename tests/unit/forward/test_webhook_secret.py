"""The secret that signs a webhook's messages: never made silently, never replaced, never open to others."""

import base64
import os
import stat
from pathlib import Path

import pytest

from ccari.errors import ConfigError
from ccari.forward.secret import WebhookSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> WebhookSecrets:
    made = WebhookSecrets(tmp_path)
    assert made.create("acme")
    return made


def test_a_new_secret_can_be_read_by_others_or_is_short(secrets: WebhookSecrets) -> None:
    path = secrets.path("acme")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().startswith("whsec_")
    assert len(secrets.read("acme")) == 32
    assert [each.name for each in path.parent.iterdir()] == ["webhook.key"]


def test_a_secret_that_the_controller_has_is_replaced(secrets: WebhookSecrets) -> None:
    before = secrets.read("acme")
    assert not secrets.create("acme")
    assert secrets.read("acme") == before
    assert [each.name for each in secrets.path("acme").parent.iterdir()] == ["webhook.key"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make it for somebody else")
def test_a_secret_that_root_makes_cannot_be_read_by_the_service(tmp_path: Path) -> None:
    service = 65534
    os.chown(tmp_path, service, service)
    secrets = WebhookSecrets(tmp_path / "keys")
    assert secrets.create("acme")
    path = secrets.path("acme")
    assert [each.stat().st_uid for each in (path, path.parent, path.parent.parent)] == [service] * 3
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_secret_is_told_of_that_a_power_failure_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the controller has a copy of it, and another would be made in its place."""
    synced: list[str] = []
    sync = os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    path = WebhookSecrets(tmp_path).path("acme")
    assert WebhookSecrets(tmp_path).create("acme")
    drafts = [each for each in synced if each.startswith(f"{path.parent}/.webhook.key.")]
    assert (len(drafts), synced[-1]) == (1, str(path.parent))


def test_a_secret_that_is_not_there_is_made_in_silence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ccari requests webhook-secret --controller acme"):
        WebhookSecrets(tmp_path).read("acme")
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize("mode", [0o660, 0o604])
def test_a_secret_that_others_can_read_is_used(secrets: WebhookSecrets, mode: int) -> None:
    secrets.path("acme").chmod(mode)
    with pytest.raises(ConfigError, match="can be read by others: chmod 600 it"):
        secrets.read("acme")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"whsec_",
        b"whsec_zz",
        b"\xff" * 50,
        base64.b64encode(bytes(32)),
        b"whsec_" + base64.b64encode(bytes(23)),
    ],
)
def test_a_damaged_secret_is_used_or_quoted(secrets: WebhookSecrets, content: bytes) -> None:
    secrets.path("acme").write_bytes(content)
    with pytest.raises(ConfigError, match="contains no secret such as whsec_…") as wrong:
        secrets.read("acme")
    assert "zz" not in str(wrong.value)


def test_a_folder_that_cannot_be_written_ends_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("in the way")
    with pytest.raises(ConfigError, match=r"Not a directory: check \[keys\] dir"):
        WebhookSecrets(tmp_path / "keys").create("acme")
