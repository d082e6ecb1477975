"""What people read fits the code, and its links lead somewhere."""

import itertools
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ccari.config import Settings
from ccari.policy.call import Outcome
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy, read
from ccari.policy.parties import Controller, Register
from tests.unit.documents.pages import CHECKOUT, Block, anchors, blocks, links, pages, prose

_QUOTED = re.compile(r"`([^`\n]+)`")
#: Paths in the checkout; anything else that looks like a path is on the reader's machine.
_OURS = re.compile(r"(?:ccari|tests|docs|dialplan|docker|sounds)/[\w./-]+|(?:docs|tests|ccari)/?")
_MAKE = re.compile(r"\bmake ([a-z-]+)")
_ALL = pages()
_INDEX = CHECKOUT / "docs" / "README.md"


def _snippets(language: str) -> Iterator[Block]:
    return (each for page in _ALL for each in blocks(page) if each.language == language)


def _named(page: Path) -> Iterator[str]:
    """What a page quotes, one word at a time."""
    for quoted in _QUOTED.findall(prose(page)):
        yield from quoted.split()


def test_a_page_is_in_no_index() -> None:
    linked = {(_INDEX.parent / each.partition("#")[0]).resolve() for each in links(_INDEX)}
    assert set(_ALL) - linked - {_INDEX} == set()
    assert "docs/README.md" in set(links(CHECKOUT / "README.md"))


@pytest.mark.parametrize("page", _ALL, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_link_leads_nowhere(page: Path) -> None:
    dead = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        if "://" in name:
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", _ALL, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_page_names_a_file_that_is_not_there(page: Path) -> None:
    named = {each.rstrip(".,") for each in _named(page) if _OURS.fullmatch(each)}
    assert {each for each in named if not (CHECKOUT / each).exists()} == set()


def test_a_page_has_its_reader_take_from_the_installation_what_the_wheel_does_not_carry() -> None:
    built = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    told = {
        each for page in _ALL for each in re.findall(r"/opt/ccari/(share/ccari/[\w./-]*\w)", page.read_text())
    }
    assert len(told) > 2

    def sources(path: str) -> Iterator[Path]:
        for ours, theirs in built["shared-data"].items():
            if path == theirs or path.startswith(f"{theirs}/"):
                yield CHECKOUT / f"{ours}{path.removeprefix(theirs)}"

    assert {each for each in told if not any(source.exists() for source in sources(each))} == set()


def test_the_evidence_of_an_article_is_an_event_that_does_not_exist() -> None:
    page = (CHECKOUT / "docs" / "duties.md").read_text()
    _, by_article = page.split("## By article", 1)
    seen_in = " ".join(re.findall(r"^\|.*\| ([^|]*) \|$", by_article, re.MULTILINE))
    events = {each for each in _QUOTED.findall(seen_in) if re.fullmatch(r"[a-z]+(_[a-z]+)+", each)}
    reference = (CHECKOUT / "docs" / "reference.md").read_text()
    assert len(events) > 10
    assert {each for each in events if f"`{each}`" not in reference} == set()


def test_a_page_tells_the_reader_to_make_what_does_not_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    told = {each for page in _ALL for each in _MAKE.findall("\n".join((*_named_whole(page), *_code(page))))}
    assert len(told) > 5
    assert {each for each in told if not each.endswith("-")} - targets == set()


def _named_whole(page: Path) -> list[str]:
    return _QUOTED.findall(prose(page))


def _code(page: Path) -> list[str]:
    return [each.text for each in blocks(page)]


def test_the_architecture_speaks_of_a_name_that_is_not_in_the_code() -> None:
    code = "\n".join(
        path.read_text()
        for path in (*CHECKOUT.glob("ccari/**/*.py"), *CHECKOUT.glob("ccari/**/*.sql"), *CHECKOUT.glob("tests/**/*.py"),
                     CHECKOUT / "pyproject.toml", CHECKOUT / "Makefile")
    )  # fmt: skip
    told = {
        each
        for each in _named(CHECKOUT / "docs" / "architecture.md")
        if re.fullmatch(r"_?[A-Za-z_]{5,}", each)
    }
    assert len(told) > 20
    assert {each for each in told if not re.search(rf"\b{each}\b", code)} == set()


@pytest.mark.parametrize("block", list(_snippets("toml")), ids=lambda block: block.place)
def test_a_page_shows_settings_or_a_policy_that_are_refused(block: Block) -> None:
    document = tomllib.loads(block.text)
    if {"controllers", "campaigns", "registers"} & document.keys():
        assert read(block.text).campaigns
    else:
        Settings(**document)


def _told() -> dict[tuple[str, str], str]:
    """What docs/settings.md says about each key that is left out."""
    told, section = {}, ""
    rows = re.findall(
        r"^\| ([^|]+) \|([^|]*)\|", (CHECKOUT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    for first, default in rows:
        if heading := re.fullmatch(r"\*\*`\[(\w+)\]`\*\*", first):
            section = heading[1]
        elif first.startswith("`"):
            told[section, first.strip("`")] = default.strip()
    return told


def _there() -> Iterator[tuple[tuple[str, str], Any]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            for key, each in type(field.default).model_fields.items():
                yield (name, key), each.default
        else:
            yield ("", name), field.default


def test_a_setting_is_not_told_of_or_has_another_default() -> None:
    told, there = _told(), dict(_there())
    assert told.keys() == there.keys()
    for key, default in there.items():
        if default in (None, ()):
            # if it is below another folder, words say so
            assert not told[key].startswith('`"'), key
        else:
            said = str(default) if isinstance(default, int | float) else f'"{default}"'
            assert told[key] == f"`{said}`", key


def test_an_outcome_is_not_explained_to_whoever_writes_the_dialplan() -> None:
    page = (CHECKOUT / "docs" / "pbx.md").read_text()
    _, _, table = page.partition("| `CCARI_OUTCOME` |")
    cells = re.findall(r"^\| (`[^|]+) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert sorted(each for cell in cells for each in _QUOTED.findall(cell)) == sorted(Outcome)


@pytest.mark.parametrize("model", [Policy, Controller, Register, Campaign], ids=lambda model: model.__name__)
def test_a_key_of_the_policy_is_explained_nowhere(model: type[BaseModel]) -> None:
    text = (CHECKOUT / "docs" / "policy.md").read_text()
    missing = {
        name for name in model.model_fields
        if f"`{name}`" not in text and not re.search(rf"^#+ \[\[?(?:campaigns\.)?{name}\]", text, re.MULTILINE)
    }  # fmt: skip
    assert missing == set()


#: Stands in for the machine's programs: a command that the page has typed counts only if its user exists by then.
_MACHINE = """#!/bin/sh
case ${0##*/} in
getent) [ -e user ] ;;
useradd) [ ! -e user ] && : >user ;;
*) [ -e user ] && echo "${0##*/} $*" >>told ;;
esac
"""


@pytest.mark.parametrize("made", [True, False], ids=["made", "not-made"])
@pytest.mark.parametrize("name", ["README.md", "docs/install.md"])
def test_the_installation_ends_at_the_user_whom_make_has_made(
    tmp_path: Path, name: str, *, made: bool
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for each in ("getent", "useradd", "usermod", "install"):
        (programs / each).write_text(_MACHINE)
        (programs / each).chmod(0o755)
    if made:
        (tmp_path / "user").touch()
    typed = [
        line
        for block in blocks(CHECKOUT / name)
        for line in block.text.splitlines()
        if re.match("getent|useradd|usermod|install -d", line)
    ]
    subprocess.run(["/bin/sh", "-c", "\n".join(typed)], cwd=tmp_path, env={"PATH": str(programs)}, check=True)
    meant = [each.strip() for line in typed for each in re.findall(r"(?:usermod|install) [^&#]*", line)]
    assert "usermod -aG asterisk ccari" in meant
    assert (tmp_path / "told").read_text().splitlines() == meant


def test_the_readme_installs_otherwise_than_the_page_on_it() -> None:
    """The service's folders are in the page's second block."""
    installing = re.compile(
        r"umask|apt-get|make|getent|usermod|install -d|python3 -m venv|/opt/ccari/bin/pip|ln -s"
    )

    def typed(page: str) -> list[str]:
        shown = [block.text.splitlines() for block in blocks(CHECKOUT / page)]
        first = next(n for n, lines in enumerate(shown) if "make wheel" in lines)
        lines = itertools.chain.from_iterable(shown[first : first + 2])
        return [line.partition("  #")[0].strip() for line in lines if installing.match(line)]

    assert len(typed("README.md")) > 10
    assert typed("README.md") == typed("docs/install.md")


def test_make_wheel_makes_a_laboratory_of_the_machine_that_ccari_is_installed_on(tmp_path: Path) -> None:
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", "wheel"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "requirements-build.lock" in told
    assert not [each for each in ("apt-get", "useradd", "requirements-dev.lock") if each in told]


def test_an_update_as_the_page_tells_it_leaves_the_old_code() -> None:
    """If the version is the same, pip takes the wheel for already installed."""
    told = [
        line for page in _ALL for code in _code(page) for line in code.splitlines() if "dist/ccari-" in line
    ]
    assert len(told) == 2
    assert [each for each in told if "--force-reinstall" not in each] == []


def _callers() -> Iterator[tuple[str, re.Match[str]]]:
    """Each place that shows how a caller is handed over: its two lines and the one after them."""
    shown = re.compile(
        r"CCARI_DESTINATION=(?P<destination>\w+)\)\n[; ]* same => n,(?P<by>\w+)\(ccari-inbound,(?P<campaign>\w+),1\)"
        r"(?P<behind>\n[; ]* same => n,\w+\()?"
    )
    for each in (
        *_ALL,
        *CHECKOUT.glob("dialplan/**/*.conf"),
        CHECKOUT / "docker/site.example/extensions.conf",
    ):
        for found in shown.finditer(each.read_text()):
            yield str(each.relative_to(CHECKOUT)), found


def test_whoever_calls_as_a_page_shows_comes_to_a_campaign_that_rings_nobody() -> None:
    declared = read((CHECKOUT / "ccari/demo/policy.toml").read_text())
    shown = list(_callers())
    assert {"README.md", "docs/pbx.md"} <= {place for place, _ in shown}
    for place, each in shown:
        campaign = declared.campaign(each["campaign"])
        assert campaign is not None, place
        assert campaign.agent_string(each["destination"]) is not None, place


def test_whoever_is_to_be_connected_without_ccari_is_dropped_where_a_page_shows_no_way_back() -> None:
    """`CCARI_INBOUND_WITHOUT = connect` goes back to the Gosub that came; after a Goto there is nowhere to go."""
    assert {place for place, each in _callers() if each["by"] != "Gosub" or each["behind"] is None} == set()


def test_the_keys_menu_is_shown_where_nobody_was_told_of_the_recording() -> None:
    """Over FastAGI ccari plays no notice; and what was not played to its end was not heard."""
    shown = {}
    for each in (*_ALL, *CHECKOUT.glob("dialplan/**/*.conf")):
        lines = each.read_text().splitlines()
        for at, line in enumerate(lines):
            if ",Gosub(ccari-inbound-agi," in line:
                shown[str(each.relative_to(CHECKOUT)), at + 1] = lines[at - 2 : at]
    assert {place for place, _ in shown} == {
        "docs/pbx.md", "dialplan/extensions_ccari_agi.conf", "dialplan/freepbx/extensions_custom.conf",
        "dialplan/vicidial/extensions_vicidial.conf",
    }  # fmt: skip
    untold = {
        place
        for place, (first, second) in shown.items()
        if ",1,Playback(" not in first or not re.search(r"PLAYBACKSTATUS.*:unrecorded\)$", second)
    }
    assert untold == set()


def test_a_restore_in_containers_meets_a_database_that_is_still_being_made() -> None:
    """The temporary server answers on the socket, and is shut down again; over TCP nothing answers before the real one
    is there.
    """
    compose = (CHECKOUT / "docker" / "compose.yaml").read_text()
    (asked,) = re.findall(r'\["CMD", "pg_isready", (.*)\]', compose)
    assert '"--host=127.0.0.1"' in asked
    (restore,) = (each.text for each in blocks(CHECKOUT / "docker/README.md") if " pg_restore " in each.text)
    assert re.match(r"docker compose up .*--wait postgres\n", restore)


def _endpoints(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The endpoints of a pjsip.conf, also behind semicolons, with the settings of their templates."""
    templates: dict[str, dict[str, str]] = {}
    for name, of, body in re.findall(r"^;?\[(\w+)\](?:\(([\w!]+)\))?((?:\n(?!;?\[).*)*)", text, re.MULTILINE):
        own = dict(re.findall(r"^;?(\w+) = (.*)$", body, re.MULTILINE))
        if of == "!":
            templates[name] = own
        elif (whole := templates.get(of, {}) | own).get("type") == "endpoint":
            yield name, whole


def test_whoever_names_himself_the_trunk_is_let_in_as_the_trunk() -> None:
    """Asterisk asks an endpoint without `auth` for no password, and by default it identifies everybody by the name that
    they give.
    """
    shown = {
        each: (CHECKOUT / each).read_text()
        for each in (
            "docker/site.example/pjsip.conf",
            "docker/demo/pbx/pjsip.conf",
            "tests/lab/etc/pbx/pjsip.conf",
        )
    }
    for block in blocks(CHECKOUT / "docs/operations.md"):
        if "type = endpoint" in block.text:
            shown[block.place] = block.text
    found = [(place, *each) for place, text in shown.items() for each in _endpoints(text)]
    assert {place for place, name, _ in found if name == "trunk"} == shown.keys()
    assert len(shown) > 3
    assert [
        (place, name) for place, name, keys in found if "auth" not in keys and keys.get("identify_by") != "ip"
    ] == []
    assert "`identify_by = ip`" in (CHECKOUT / "README.md").read_text()


def test_a_backup_in_containers_takes_audio_or_a_persons_file_that_lies_open(tmp_path: Path) -> None:
    """`data_dir` as it may be at any moment: what is being encoded, fetched or given out is in no other backup either."""
    taken = {
        folder
        for block in blocks(CHECKOUT / "docs/operations.md")
        for line in re.findall(r"^rsync .* /backup ", block.text, re.MULTILINE)
        for folder in re.findall(r"/var/lib/ccari/([\w-]+)", line)
    }
    for each in ("encoding", "exports", "incoming", "keys", "local-journal", "recordings", "sounds", "heard"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "file").touch()
    (tmp_path / "keys.age").touch()
    (line,) = re.findall(
        r"^docker compose exec -T ccari (tar .*) >ccari-files.tar$",
        "".join(each.text for each in blocks(CHECKOUT / "docker/README.md")),
        re.MULTILINE,
    )
    made = subprocess.run(
        ["/bin/sh", "-c", line.replace("/var/lib/ccari", str(tmp_path))], check=True, capture_output=True
    )
    listed = subprocess.run(["tar", "-tf", "-"], input=made.stdout, check=True, capture_output=True)
    assert {each.split("/")[0] for each in listed.stdout.decode().split()} == {"keys.age", *taken}


def test_after_an_installation_the_commands_of_the_pages_are_not_found() -> None:
    shown = {
        name: "".join(each.text for each in blocks(CHECKOUT / name))
        for name in ("README.md", "docs/install.md")
    }
    linked = {
        name for name, text in shown.items() if "ln -s /opt/ccari/bin/ccari /usr/local/bin/ccari\n" in text
    }
    assert linked == shown.keys()
