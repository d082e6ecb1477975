"""The configuration: what is wrong in it is reported in one line that names it and never quotes a secret."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ccari.config import Settings, load, loading, password_in
from ccari.errors import ConfigError
from ccari.keyring.files import read_guarded
from ccari.own_threads import alone
from ccari.recordings.evidence.authority import authority

OPENED_SECONDS = 5.0
SECRET = "s3cret-p4ssword"  # noqa: S105 - of nothing

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_(content: str | bytes) -> Path:
        path = tmp_path / "ccari.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file and no variable of the machine that runs the test."""
    monkeypatch.setattr(loading, "DEFAULT_PATHS", ())


def refused(path: Path | None) -> str:
    with pytest.raises(ConfigError) as wrong:
        load(path)
    told = str(wrong.value)
    assert "\n" not in told
    assert SECRET not in told
    return told


def test_defaults_do_not_hold_where_nothing_is_said() -> None:
    settings = load(None)
    assert settings.asterisk.url == "http://127.0.0.1:8088"
    assert settings.database.url is None
    assert settings.recordings_dir == Path("/var/lib/ccari/recordings")


def test_the_environment_does_not_win_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write('data_dir = "/srv"\n[asterisk]\nusername = "file"\napp = "other"\n')
    monkeypatch.setenv("CCARI_ASTERISK__USERNAME", "environment")
    settings = load(path)
    assert (settings.asterisk.username, settings.asterisk.app) == ("environment", "other")
    assert settings.keys_dir == Path("/srv/keys")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (
            "[asterisk]\npasword = '%s'\n",
            "asterisk.pasword: is not a known key; known are url, username, password, password_file, app",
        ),
        (
            "[asterix]\nurl = '%s'\n",
            "asterix: is not a known key; known are data_dir, asterisk, database, agi, http",
        ),
        (
            "[[webhooks]]\nname = 'crm'\nurl = 'https://crm.example/'\nsecret = '%s'\nevents = ['call.ended']\nevent = ''\n",
            "webhooks.0.event: is not a known key; known are name, url, secret, secret_file, events",
        ),
        ("asterisk = '%s'\n", "asterisk: "),
        (
            "[log]\ndata_dir = '%s'\n",
            "log.data_dir: belongs above the first [section] of the file: in a section it is not a known key",
        ),
        (
            "[asterisk]\nlisten = '%s'\n",
            "asterisk.listen: belongs in [agi] or [http]: here it is not a known key; known are url",
        ),
        (
            "drain_seconds = '%s'\n",
            "drain_seconds: belongs in [calls]: here it is not a known key; known are data_dir",
        ),
        (
            "[calls]\ndrain_seconds = '60s'\n",
            "calls.drain_seconds: must be a number, without quotes or a unit",
        ),
        ("[calls]\nat_once = 'many'\n", "calls.at_once: must be a number, without quotes or a unit"),
        ("[calls]\nat_once = true\n", "calls.at_once: must be a number, without quotes or a unit"),
        (
            "[calls]\ndrain_seconds = false\n",
            "calls.drain_seconds: must be a number, without quotes or a unit",
        ),
        ("[agi]\nlisten = false\n", "agi.listen: must be text in quotes"),
        ("[asterisk]\nurl = 'http://ccari:%s@127.0.0.1:8088'\n", "asterisk.url: "),
        ("[asterisk]\nurl = 'ftp://127.0.0.1'\n", "asterisk.url: "),
        ("[asterisk]\npassword = ['%s']\n", "asterisk.password: "),
        ("[database]\nurl = 5\n", "database.url: "),
        ("[http]\nlisten = '8090'\n", "http.listen: "),
        ("[http]\nlisten = 8090\n", "http.listen: must be text in quotes"),
        ("[log]\nlevel = 'loud'\n", "log.level: "),
        ("[recordings]\nformat = 'mp3'\n", "recordings.format: "),
        ("data_dir = 7\n", "data_dir: must be a path in quotes"),
        ("data_dir = '~/ccari'\n", "data_dir: begins with ~, which only a shell understands"),
        (
            "data_dir = 'data'\n",
            "data_dir: must be a whole path, from / on: another folder is meant wherever ccari is run",
        ),
        (
            "[asterisk]\npassword_file = './ari-password'\n",
            "asterisk.password_file: must be a whole path, from / on",
        ),
        ("[asterisk]\nspool = 'spool'\n", "asterisk.spool: must be a whole path, from / on"),
        ('[recordings]\ndir = "a\\u0000"\n', "recordings.dir: has a character that is in no path"),
        ("[time_stamps]\nusername = 'a:b'\n", "time_stamps.username: must look like ccari"),
        ("data_dir = ''\n", "data_dir: is empty: name a path, or leave it out"),
        ("[keys]\ndir = ''\n", "keys.dir: is empty"),
        ("[asterisk]\npassword_file = ''\n", "asterisk.password_file: is empty"),
        ("[time_stamps]\nurl = 'https://tsa.example/'\n", "time_stamps: needs certificates"),
        (
            "[time_stamps]\nurl = 'https://acme:%s@tsa.example/'\n",
            "time_stamps.url: must not contain a user and password",
        ),
        ("[time_stamps]\nurl = 'tsa.example'\n", "time_stamps.url: "),
        ("[time_stamps]\nusername = 'acme'\n", "time_stamps: needs both username and password_file"),
        ("[time_stamps]\nevery_minutes = 0\n", "time_stamps.every_minutes: "),
    ],
)
def test_a_wrong_key_or_value_is_not_named_or_the_secret_is(write: Write, content: str, named: str) -> None:
    path = write(content.replace("%s", SECRET))
    told = refused(path)
    assert named in told
    assert str(path) in told


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("CCARI_ASTERISC__URL", "x", "CCARI_ASTERISC__URL is not a known setting"),
        (
            "CCARI_ASTERISK_URL",
            "x",
            "CCARI_ASTERISK_URL is not a known setting: two underscores are between section and key",
        ),
        ("CCARI_ASTERISK__PASWORD", SECRET, "asterisk.pasword: is not a known key"),
        ("CCARI_ASTERISK", SECRET, "CCARI_ASTERISK names a section"),
        ("CCARI_ASTERISK__PASSWORD__X", SECRET, "asterisk.password"),
        ("CCARI_LOG__LEVEL", "loud", "log.level"),
        ("CCARI_HTTP__LISTEN", "nowhere", "http.listen"),
        ("CCARI_AGI__LISTEN", "nowhere", "agi.listen: "),
        ("CCARI_AGI__LISTEN", "127.0.0.1:70000", "agi.listen: the port must be"),
    ],
)
def test_a_wrong_variable_is_ignored_in_silence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    monkeypatch.setenv(name, value)
    assert named in refused(None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CCARI_WEBHOOKS", "[]"),
        ("CCARI_WEBHOOKS__KEY", "crm"),
        ("CCARI_WEBHOOKS__0__SECRET", SECRET),
    ],
)
def test_who_names_a_webhook_in_a_variable_is_sent_in_a_circle(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert (
        refused(None)
        == f"the environment variable {name} has no effect: declare webhooks in ccari.toml, with [[webhooks]] for each"
    )


@pytest.mark.parametrize("listen", ["off", "0.0.0.0:4573", "[::1]:4573"])
def test_fastagi_cannot_be_turned_off_or_elsewhere(monkeypatch: pytest.MonkeyPatch, listen: str) -> None:
    assert load(None).agi.listen == "127.0.0.1:4573"
    monkeypatch.setenv("CCARI_AGI__LISTEN", listen)
    assert load(None).agi.listen == listen


def test_the_laboratorys_own_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CCARI_LAB_LOGS", "CCARI_LAB_WORLD_URL", "CCARI_CONFIG"):
        monkeypatch.setenv(name, "x")
    assert isinstance(load(None), Settings)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[asterisk\n", " is not TOML: "),
        ("password = s3cret-p4ssword\n", " is not TOML: "),
        (
            "[http]\nlisten = “127.0.0.1:8090”\n",
            " is not TOML: Invalid value (at line 2, column 10): text needs straight quotes",
        ),
        (b"\xff\xfe", ": line 1: is not UTF-8: save the file as UTF-8"),
        (b"# first\n# b\xfccher\n", ": line 2: is not UTF-8: save the file as UTF-8"),
        ("a = 1\na = 2\n", " is not TOML: "),
    ],
)
def test_what_is_no_toml_ends_in_a_traceback_or_is_quoted(
    write: Write, content: str | bytes, words: str
) -> None:
    path = write(content)
    assert refused(path).startswith(f"{path}{words}")


def test_a_file_that_an_editor_on_windows_has_saved_is_refused(write: Write) -> None:
    assert load(write(b'\xef\xbb\xbfdata_dir = "/srv"\r\n')).data_dir == Path("/srv")


def test_a_file_that_cannot_be_read_ends_in_a_traceback(tmp_path: Path) -> None:
    assert (
        refused(tmp_path / "none.toml") == f"cannot read {tmp_path / 'none.toml'}: No such file or directory"
    )
    assert refused(tmp_path) == f"cannot read {tmp_path}: Is a directory"


def test_a_default_file_that_may_not_be_looked_at_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long stands for every error but "no such file": root is never refused."""
    unreadable = tmp_path / ("x" * 300)
    monkeypatch.setattr(loading, "DEFAULT_PATHS", (unreadable,))
    assert refused(None) == f"cannot read {unreadable}: File name too long"


def test_it_is_not_told_in_which_folder_a_file_could_not_be_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's own folder, as a rule, if somebody works as the service's user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "DEFAULT_PATHS", (Path("x" * 300), Path("/etc/ccari/ccari.toml")))
    assert refused(None) == (
        f"cannot read {tmp_path / ('x' * 300)}: File name too long: "
        "run it in a folder that its user can read, such as /etc/ccari"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_useless_password_file_is_used_or_ends_in_a_traceback(
    tmp_path: Path, write: Write, content: bytes | None, words: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as wrong:
        load(write(f'[asterisk]\npassword_file = "{file}"\n')).asterisk.secret()
    assert str(wrong.value).startswith(f"[asterisk] password_file {file}")
    with pytest.raises(ConfigError, match=words) as wrong:
        load(write(f'[database]\nurl = "postgresql://h/d"\npassword_file = "{file}"\n')).database.dsn()
    assert str(wrong.value).startswith(f"[database] password_file {file}")


@pytest.mark.parametrize(
    "read",
    [partial(password_in, section="database"), read_guarded, authority],
    ids=["password", "key", "certificates"],
)
def test_a_pipe_in_the_place_of_a_secret_holds_up_all_calls_or_what_is_read_after_it_until_somebody_restarts_the_service(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    """Some tools hand secrets out like this, once. Whoever opens one waits for a writer, even if the file is back."""
    pipe = tmp_path / "secret"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigError, match="a pipe or a device, not a file"):
        alone("reads-a-pipe", read, pipe).result(OPENED_SECONDS)


def test_a_password_that_an_editor_on_windows_has_saved_is_refused(tmp_path: Path, write: Write) -> None:
    """By Asterisk and PostgreSQL, which were sent three extra bytes."""
    (file := tmp_path / "password").write_bytes(b"\xef\xbb\xbfs3cret\r\n")
    settings = load(
        write(
            f'[asterisk]\npassword_file = "{file}"\n[database]\nurl = "postgresql://h/d"\npassword_file = "{file}"\n'
        )
    )
    assert settings.asterisk.secret() == "s3cret"
    assert password_in(file, "database") == "s3cret"


def test_the_password_of_no_database_is_left_alone_in_silence(tmp_path: Path, write: Write) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    with pytest.raises(ConfigError, match=r"\[database\] password_file has no effect without url"):
        load(write(f'[database]\npassword_file = "{file}"\n')).database.dsn()
    assert load(write("")).database.dsn() is None


def test_a_missing_password_is_an_empty_one(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"\[asterisk\] password or password_file is missing"):
        load(write("")).asterisk.secret()
    assert load(write(f'[asterisk]\npassword = "{SECRET}"\n')).asterisk.secret() == SECRET


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[webhooks]\nname = 'crm'\n", "webhooks: write [[webhooks]], in double brackets, for each"),
        ("[[webhooks]]\nname = 'crm'\nurl = 'https://crm.example/'\nsecret = 'x'\nevents = 'call_ended'\n",
         'webhooks.0.events: must be a list such as ["…", "…"]'),
        ("[[webhooks]]\nurl = 'https://crm.example/'\nsecret = 'x'\nevents = ['call.ended']\n", "webhooks.0.name: is missing"),
        ("asterisk = 'http://127.0.0.1:8088'\n", "asterisk: must be a table: write [asterisk], and its keys below it"),
    ],
)  # fmt: skip
def test_a_table_or_list_that_is_written_otherwise_is_answered_in_the_librarys_words(
    write: Write, content: str, told: str
) -> None:
    assert refused(write(content)).endswith(told)


@pytest.mark.parametrize("url", ["https://pbx.example", "http://[::1]:8088/", "http://pbx:65535"])
def test_a_sound_url_of_asterisk_is_refused(write: Write, url: str) -> None:
    assert load(write(f"[asterisk]\nurl = '{url}'\n")).asterisk.url == url


def test_settings_show_a_secret(write: Write) -> None:
    url = f"postgresql://ccari:{SECRET}@127.0.0.1/ccari"
    settings = load(write(f'[asterisk]\npassword = "{SECRET}"\n[database]\nurl = "{url}"\n'))
    assert SECRET not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("CCARI_ASTERISK__URL", "http://pbx:8088/ari", "asterisk.url: must look like http://127.0.0.1:8088"),
        ("CCARI_ASTERISK__URL", "http://my pbx:8088", "asterisk.url: must look like http://127.0.0.1:8088"),
        ("CCARI_ASTERISK__APP", "x y", "asterisk.app: must look like ccari"),
        ("CCARI_ASTERISK__NAME", "pbx 07", "asterisk.name: must look like pbx-07"),
        ("CCARI_CALLS__AT_ONCE", "0", "calls.at_once: must be greater than or equal to 1"),
        ("CCARI_HTTP__LISTEN", "8090", "http.listen: must look like 127.0.0.1:8090 or [::1]:8090"),
        ("CCARI_HTTP__LISTEN", "::1:8090", "http.listen: must look like 127.0.0.1:8090 or [::1]:8090"),
        ("CCARI_AGI__LISTEN", ":::4573", "agi.listen: must look like 127.0.0.1:4573 or [::1]:4573"),
        (
            "CCARI_ASTERISK__URL",
            "http://127.0.0.1:99999",
            "asterisk.url: is not a URL: it must look like http://127.0.0.1:8088, or http://[::1]:8088",
        ),
        (
            "CCARI_ASTERISK__URL",
            "http://127.0.0.1:0",
            "asterisk.url: is not a URL: it must look like http://127.0.0.1:8088, or http://[::1]:8088",
        ),
        (
            "CCARI_ASTERISK__URL",
            "http://[::1",
            "asterisk.url: is not a URL: it must look like http://127.0.0.1:8088, or http://[::1]:8088",
        ),
        (
            "CCARI_ASTERISK__URL",
            "http://::1:8088",
            "asterisk.url: is not a URL: it must look like http://127.0.0.1:8088, or http://[::1]:8088",
        ),
        (
            "CCARI_ASTERISK__URL",
            "http://:8088",
            "asterisk.url: is not a URL: it must look like http://127.0.0.1:8088, or http://[::1]:8088",
        ),
    ],
)
def test_a_value_of_another_shape_is_answered_by_a_pattern(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, example: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as raised:
        load(None)
    assert str(raised.value).endswith(example)


def test_asterisk_that_is_off_wants_a_password_or_a_reader_of_recordings(write: Write) -> None:
    settings = load(write("[asterisk]\nurl = 'off'\n"))
    assert settings.asterisk.is_off
    assert not settings.encrypts_recordings
    assert load(write("")).encrypts_recordings
    assert not load(write("[recordings]\nencryption = 'none'\n")).encrypts_recordings
    assert refused(write("[asterisk]\nurl = 'Off'\n")).endswith("must look like http://127.0.0.1:8088")
