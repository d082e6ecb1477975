"""What every command has in common, run as a person runs it."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich import markup
from typer.main import get_command

from ccari import __version__
from ccari.cli.context import who
from ccari.cli.doctor.command import _print
from ccari.cli.doctor.findings import fault
from ccari.cli.main import app
from ccari.cli.output import as_table, cell
from tests.integration.service import parent

SECONDS = 60
#: As it is where people work; a test machine may have it otherwise.
BUFFERED = {"PYTHONUNBUFFERED": ""}


def ccari(*arguments: str | bytes, out: int = subprocess.PIPE, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ccari", *arguments], stdout=out, stderr=subprocess.PIPE, timeout=SECONDS, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


def forked(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """As :func:`ccari`, if it does not matter how the process began."""
    code, out, err = asyncio.run(parent().run(arguments, os.environ | environment))
    return code, out.decode(), err.decode()


def python(does: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", does], capture_output=True, text=True, timeout=SECONDS, check=False
    )


AS_NOBODY = """
import gc; gc.disable()
import concurrent.futures.thread, contextlib, encodings.utf_8_sig, io, json, os, sys, tempfile
from ccari.cli.main import app, main
from typer.main import get_command
# all that is loaded later lies where nobody may look, if this is below /root
assert [*get_command(app).commands.values()]
with contextlib.redirect_stdout(io.StringIO()):
    get_command(app).main(["keys", "--help"], standalone_mode=False)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)

def told(does):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if not (child := os.fork()):
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            exec(does)
            sys.exit()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read().decode(), err.read().decode()

json.dump([told(each) for each in sys.argv[1:]], sys.stdout)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(*does: str, **environment: str) -> list[tuple[int, str, str]]:
    """How each of them ends, in a process of its own: they are forked from one, as it takes long to load everything."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AS_NOBODY, *does], stdout=subprocess.PIPE, timeout=SECONDS, check=True,
        cwd="/", env=os.environ | environment,
    )  # fmt: skip
    return [tuple(each) for each in json.loads(done.stdout)]


def running(*arguments: str) -> str:
    return f"sys.argv[1:] = {arguments}; main()"


def test_the_version_needs_a_command_or_a_program() -> None:
    assert ccari("--version", PATH="/nowhere") == (0, f"{__version__}\n", "")


def test_each_command_warns_of_how_a_library_is_written_where_byte_code_is_not_cached(tmp_path: Path) -> None:
    code, _, said = ccari("policy", "presets", PYTHONPYCACHEPREFIX=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    assert (code, said) == (0, "")


def test_a_full_disk_ends_a_list_in_a_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, said = ccari("policy", "presets", out=full.fileno())
    assert (code, said) == (1, "ccari: cannot write the output: No space left on device\n")


def test_a_full_disk_ends_a_short_list_without_a_word_of_ours(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, said = ccari(
            "requests", "spooled", out=full.fileno(), CCARI_DATA_DIR=str(tmp_path), **BUFFERED
        )
    assert (code, said) == (1, "ccari: cannot write the output: No space left on device\n")


def test_a_reader_that_has_gone_is_told_of(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        code, _, said = ccari(
            "requests", "spooled", out=gone.fileno(), CCARI_DATA_DIR=str(tmp_path), **BUFFERED
        )
    assert (code, said) == (1, "")


NO_PASSWORD = "ccari: [asterisk] password or password_file is missing: give the password of the ARI user\n"  # noqa: S105 - words


@pytest.mark.parametrize(
    ("closed", "arguments", "ended"),
    [
        (">&-", ("requests", "spooled"), (0, "", "")),
        # it has begun to log by then
        (">&-", ("serve",), (1, "", NO_PASSWORD)),
        ("2>&-", ("policy", "check", "nowhere.toml", "--file-only"), (1, "", "")),
    ],
    ids=["output", "log", "errors"],
)
def test_a_stream_that_is_closed_ends_in_a_traceback(
    tmp_path: Path, closed: str, arguments: tuple[str, ...], ended: tuple[int, str, str]
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "ccari", *arguments],
        capture_output=True, text=True, timeout=SECONDS, check=False, env=os.environ | {"CCARI_DATA_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == ended


def test_an_input_that_is_closed_passes_for_an_empty_list() -> None:
    reads = (
        "import asyncio; from pathlib import Path; from ccari.cli.main import _replace_closed_streams; from ccari.lists import NumberList\n"
        "_replace_closed_streams()\n"
        "try: asyncio.run(NumberList(Path('-'), 'PL').__aenter__())\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", reads], capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("cannot read -: Bad file descriptor\n", "")


def test_a_terminal_of_few_characters_ends_a_list_in_a_traceback() -> None:
    code, listed, said = ccari("policy", "presets", PYTHONIOENCODING="ascii")
    assert (code, said) == (0, "")
    assert "UWG" in listed
    assert listed.isascii()


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, show: Callable[[], None]) -> str:
    """What somebody sees of it who works on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "w") as out, monkeypatch.context() as terminal:
            terminal.setattr(sys, "stdout", out)
            terminal.setenv("TERM", "xterm")
            terminal.setenv("COLUMNS", str(columns))
            show()
            out.flush()
            return os.read(ours, 65536).decode()
    finally:
        os.close(ours)


@pytest.mark.parametrize(
    ("columns", "lines"),
    # an id just fills the narrowest, but its heading does not fit: only there does it take two lines
    [(240, 3), (80, 5), (60, 9), (40, 11)],
    ids=["wide", "usual", "narrow", "narrowest"],
)  # fmt: skip
def test_a_narrow_terminal_breaks_ids_or_loses_a_value(
    monkeypatch: pytest.MonkeyPatch, columns: int, lines: int
) -> None:
    row = {
        "call": "1baaa86c-9531-43e7-8ac7-00f82ccfbb45", "at": "2026-11-29 05:08:51 UTC", "right": "objection_marketing",
        "words": "said so",
    }  # fmt: skip
    named = {each: each.upper() for each in row}
    shown = on_a_terminal(monkeypatch, columns, lambda: as_table([row, row], named, none=""))
    shown = re.sub(r"\x1b\[[\d;]*m", "", shown)
    found = shown.splitlines()
    assert len(found) == lines, shown
    assert max(map(len, found)) <= columns
    for word in (
        "1baaa86c-9531-43e7-8ac7-00f82ccfbb45",
        "2026-11-29",
        "05:08:51",
        "objection_marketing",
        "said",
        "so",
    ):
        assert shown.count(word) == 2 or (columns == 40 and len(word) == 36), shown


@pytest.mark.parametrize(
    ("plain", "state"), [("1", "fault  "), (None, "\x1b[31mfault  \x1b[0m")], ids=["plain", "coloured"]
)
def test_doctor_colours_what_somebody_wants_plain_or_breaks_its_line(
    monkeypatch: pytest.MonkeyPatch, plain: str | None, state: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if plain is not None:
        monkeypatch.setenv("NO_COLOR", plain)
    found = [fault("disk", "it is [full]" + " or nearly" * 20, "make room")]
    assert (
        on_a_terminal(monkeypatch, 40, lambda: _print(found))
        == f"{state}  disk  it is [full]{' or nearly' * 20} -> make room\r\n"
    )


def test_what_is_no_text_on_the_command_line_ends_in_a_traceback() -> None:
    assert ccari("gate", "x", "--campaign", b"\xff") == (
        2,
        "",
        "ccari: the command line is not UTF-8\n",
    )


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "SUDO_USER"])
def test_who_works_is_whoever_the_environment_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "Jan Kowalski")
    assert "Jan" not in who()
    assert who()


def test_more_days_than_a_calendar_has_end_in_a_traceback() -> None:
    code, out, said = forked("audit", "list", "--days", "9" * 20)
    assert (code, out) == (2, "")
    assert "Invalid value for '--days'" in said


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("recordings", "list", "--limit"), "--limit"),
        (("suppress", "list", "--limit"), "--limit"),
        (("requests", "list", "--due-within"), "--due-within"),
        (("policy", "show"), "'revision'"),
        (("webhooks", "retry"), "'number'"),
        (("webhooks", "discard"), "'number'"),
        (("recordings", "release", "--reason", "x"), "HOLD"),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, tuple) else "",
)
def test_a_number_that_the_database_does_not_take_is_no_wrong_usage(
    command: tuple[str, ...], named: str
) -> None:
    code, out, said = forked(*command, "9" * 20)
    assert (code, out) == (2, "")
    told = next(line for line in said.splitlines() if "Invalid value for" in line)
    assert named in told, said


def _told(command: Any) -> Iterator[str]:
    """What its help says, and that of everything below it."""
    yield command.help or ""
    yield from (getattr(each, "help", None) or "" for each in command.params)
    for each in getattr(command, "commands", {}).values():
        yield from _told(each)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("requests", "add", "600100001", "access"), "Invalid value for 'right': it must be one of 'access', 'rectification', "),
        (("token", "create", "--role", "boss", "--name", "x"), "Invalid value for '--role': it must be one of 'dialer', 'agent', "),
        (("calls", "show", "ACME-2026-000001"), "Invalid value for 'call': it must be an id such as 1baaa86c-9531-43e7-8ac7-00f82ccfbb45"),
        (("requests", "list", "--due-within", "week"), "Invalid value for '--due-within': it must be a whole number"),
    ],
    ids=["choice", "option", "id", "count"],
)  # fmt: skip
def test_wrong_usage_is_told_in_a_librarys_words(arguments: tuple[str, ...], said: str) -> None:
    code, out, err = forked(*arguments, COLUMNS="80")
    # the lines of a box
    told = " ".join(err.replace("│", " ").split())
    assert (code, out) == (2, "")
    assert said in told
    # whoever swaps two arguments reads their number on the screen, but not in the mail of a scheduled job
    assert "600100001" not in told


@pytest.mark.parametrize(
    "command", [(), ("doctor",), ("keys", "rotate"), ("requests", "list"), ("token", "create"), ("evidence", "verify")],
    ids=" ".join,
)  # fmt: skip
def test_a_switch_is_said_to_take_a_value_or_an_option_a_list(command: tuple[str, ...]) -> None:
    """Whoever types ``--yes true``, or several values after one option, is told that the usage is wrong."""
    code, out, err = forked(*command, "--help", COLUMNS="60")
    assert (code, err) == (0, "")
    assert "--help" in out
    assert "bool>" not in out
    assert "list[" not in out


def test_the_help_of_a_group_says_half_of_what_a_command_does() -> None:
    _, out, _ = forked("keys", "--help", COLUMNS="60")
    assert (
        "a secret for each controller, an identity to open recordings, a key to sign evidence,"
        in " ".join(out.split())
    )


def test_the_help_loses_what_it_takes_for_markup() -> None:
    told = list(_told(get_command(app)))
    assert len(told) > 200
    assert [each for each in told if markup.render(each).plain != each] == []


#: Each takes tens of milliseconds or more to load.
HEAVY = ("aiohttp", "holidays", "jinja2", "uvloop", "asyncari", "prometheus_client", "ccari.app", "ccari.calls", "ccari.web", "ccari.demo")  # fmt: skip
HEAVY_FOR_MOST = (*HEAVY, "pydub", "cryptography", "pyrage", "ccari.recordings", "ccari.sounds")


@pytest.mark.parametrize(
    ("commands", "others"), [(("gate", "policy"), HEAVY), (("calls", "doctor", "suppress"), HEAVY_FOR_MOST)],
    ids=lambda each: each[0],
)  # fmt: skip
def test_a_command_waits_for_what_only_others_need(
    commands: tuple[str, ...], others: tuple[str, ...]
) -> None:
    loads = (
        "import contextlib, sys; from ccari.__main__ import main\n"
        f"for command in {commands}:\n"
        "    sys.argv[1:] = [command, '--help']\n"
        "    with contextlib.suppress(SystemExit): main()\n"
        f"    print('LOADED', command, [each for each in {others} if each in sys.modules])"
    )
    done = python(loads)
    found = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert found == [f"LOADED {each} []" for each in commands], done.stderr


@pytest.mark.parametrize(("command", "works"), [("policy presets", True), ("--help", False)])
def test_all_that_is_loaded_is_looked_through_for_garbage_or_nothing_that_a_command_makes(
    command: str, *, works: bool
) -> None:
    looks = (
        "import atexit, gc, sys; from ccari.__main__ import main\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 1000))\n"
        "gc.callbacks.append(lambda *_: 'ccari.cli.policies' in sys.modules or print('COLLECTED'))\n"
        "enable = gc.enable; gc.enable = lambda: (print('FROZEN', gc.get_freeze_count() > 10_000), enable())\n"
        f"sys.argv[1:] = {command.split()}; main()"
    )
    done = python(looks)
    assert "COLLECTED" not in done.stdout
    assert ("FROZEN True" in done.stdout.splitlines()) is works
    assert done.stdout.splitlines()[-1] == f"{works} True True", done.stderr


@pytest.mark.parametrize(("module", "status"), [("ccari.cli", -signal.SIGINT), ("ccari.cli.policies", 130)])
def test_ctrl_c_while_a_command_is_loaded_ends_in_a_traceback(module: str, status: int) -> None:
    """In the module's place, something that sends the signal is loaded. Tests started in the background ignore it."""
    sends = (
        "import os, signal, sys; from ccari.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Sends:\n"
        "    def find_spec(self, name, *_):\n"
        f"        name == '{module}' and os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['policy', 'presets']; sys.meta_path.insert(0, Sends()); main()"
    )
    done = python(sends)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_form_whose_header_is_broken_is_quoted_on_stderr() -> None:
    sends = (
        "import contextlib, sys; from ccari.__main__ import main\n"
        "sys.argv[1:] = ['--help']\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "from aiohttp.multipart import parse_content_disposition\n"
        "for each in ('+48600100001 x', 'form-data; name=+48600100001 x', 'form-data; +48600100001 =x'):\n"
        "    parse_content_disposition(each)"
    )
    done = python(sends)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_list_of_all_controllers_is_said_to_be_of_one() -> None:
    groups: dict[str, Any] = getattr(get_command(app), "commands", {})
    lists = [
        each
        for group in groups.values()
        for name, each in getattr(group, "commands", {}).items()
        if name == "list"
    ]
    told = [each.help for made in lists for each in made.params if each.name == "controller"]
    assert told == ["Only this controller; default: all."] * 7


@as_root
def test_a_place_that_may_not_be_looked_into_is_not_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    told = as_nobody(
        running("keys", "backup", "--to", f"{tmp_path}/x"),
        running("subject", "export", "x", "--request", "x", "--out", f"{tmp_path}/x"),
        running("subject", "erase", "x", "--request", "x", "--report", f"{tmp_path}/x"),
        running("subject", "dossier", "x", "--why", "x", "--out", f"{tmp_path}/x"),
    )
    assert told == [(1, "", f"ccari: cannot write {tmp_path}/x: Permission denied\n")] * 4


@as_root
def test_what_may_not_be_read_is_called_the_output(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    told = as_nobody(running("keys", "backup", "--to", "/x"), CCARI_DATA_DIR=str(tmp_path))
    assert told == [(1, "", f"ccari: {tmp_path}/keys: Permission denied\n")]


@as_root
def test_it_is_not_said_what_to_do_about_a_folder_of_sounds_that_is_somebody_elses() -> None:
    # not in pytest's folder, which is closed to others
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        told = as_nobody(running("sounds", "build", "--common", "--dir", folder))
        said = (
            f"cannot write in {folder}: Permission denied: let ccari's user write there, or set [sounds] dir"
        )
        assert told == [(1, "", f"ccari: {said}\n")]


@as_root
def test_what_may_not_be_looked_at_passes_for_missing(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    looks = (
        "from ccari.keyring.files import is_there; is_there(path)",
        "from ccari.sounds.intake import _files; _files(path)",
    )
    path = f"from pathlib import Path; path = Path({str(tmp_path)!r}) / 'x'"
    told = as_nobody(*(f"{path}\ntry: {look}\nexcept Exception as error: print(error)" for look in looks))
    assert told == [(0, f"cannot read {tmp_path}/x: Permission denied\n", "")] * 2


@as_root
def test_a_file_that_may_not_be_read_is_wrong_usage() -> None:
    """Such as one of root's for ccari's user: a script takes the status of wrong usage for a fault of its own."""
    told = as_nobody(
        running("policy", "check", "--file-only", "/etc/shadow"),
        running("recordings", "verify", "--identity", "/etc/shadow"),
        running("--config", "/etc/shadow", "db", "status"),
    )
    assert told == [(1, "", "ccari: cannot read /etc/shadow: Permission denied\n")] * 3


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (True, "yes"),
        (False, "no"),
        (None, ""),
        (["a", "b"], "a, b"),
        ((), ""),
        (0, "0"),
    ],
)
def test_a_cell_of_a_table_is_written_in_python(value: object, told: str) -> None:
    assert cell(value) == told
