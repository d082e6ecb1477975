"""Policy files crafted to use up all memory or time: a fault in words, within limits."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from ccari.config import load
from ccari.errors import ConfigError
from ccari.policy.declaration import MOST_CHARACTERS, MOST_FAULTS, MOST_KNOWN, PolicyError, read

#: An honest file is read in a few hundredths of a second and a few megabytes.
MOST_SECONDS, MOST_MEMORY = 20, 2**30
_DIALS = '[[controllers]]\nid = "{0}"\nname = "x"\ncountry = "PL"\ndpo = "a@b.example"\n'
BOMBS = {
    "an array in arrays": "a = " + "[" * 500_000,
    "a table in tables": "a = " + "{b = " * 150_000,
    "a key of many parts": ".".join("a" * 500_000) + " = 1",
    "a quoted key of many parts": '"a" . ' * 150_000 + "a = 1",
    "a header of many parts": "[" + ".".join("a" * 500_000) + "]",
    "a number of many digits": "a = " + "9" * 1_000_000,
    "many unknown keys": "\n".join(f"k{each} = 1" for each in range(15_000)),
    "one key again and again": "a = 1\n" * 150_000,
    "many campaigns that lack all": '[[campaigns]]\nid = "c"\n' * 10_000,
    "many controllers of one name": _DIALS.format("acme") * 5_000,
    "many unknown registers": "[[campaigns]]\nregisters = ['r']\n" * 8_000,
    "a table of many keys": "controllers = [{" + ",".join(f"a{each} = 1" for each in range(20_000)) + "}]",
    "arrays of tables": "[[a]]\n[a.b]\n[a.b.c]\n" * 10_000,
    "quotation marks": "\"'" * 500_000,
    "a text without an end": 'a = """' + "x\n" * 500_000,
    "a name without an end": "[[controllers]]\nid = '" + "a" * 1_000_000 + "'",
}
_READ = """
import json, resource, sys
from ccari.policy.declaration import PolicyError, read
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
for text in json.load(sys.stdin):
    try:
        read(text)
        print("taken")
    except PolicyError as error:
        print(json.dumps(str(error)))
"""


async def test_a_policy_file_takes_all_memory_or_time_or_its_fault_is_told_without_end() -> None:
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _READ, str(MOST_MEMORY), str(MOST_SECONDS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await reader.communicate(json.dumps(list(BOMBS.values())).encode())
    said = dict(zip(BOMBS, out.decode().splitlines(), strict=False))
    assert (set(said), err) == (set(BOMBS), b"")
    for name, words in said.items():
        assert words != "taken", name
        assert len(words) < 200 * (MOST_FAULTS + 1), name


def test_the_line_of_a_bomb_is_not_told() -> None:
    with pytest.raises(PolicyError) as told:
        read("# first\n" + ".".join("a" * 200) + " = 1")
    assert str(told.value) == "line 2: a key has too many parts"
    with pytest.raises(PolicyError) as told:
        read("x" * (MOST_CHARACTERS + 1))
    assert str(told.value) == f"is not a policy: it has more than {MOST_CHARACTERS} characters"


def test_of_many_faults_all_are_told_or_it_is_not_said_how_many_there_are() -> None:
    with pytest.raises(PolicyError) as told:
        read("\n".join(f"k{each} = 1" for each in range(MOST_FAULTS + 7)))
    *shown, more = str(told.value).splitlines()
    assert (len(shown), more) == (MOST_FAULTS, "and 7 more faults")
    with pytest.raises(PolicyError) as told:
        read(
            "\n".join(_DIALS.format(f"c{each}") for each in range(300)) + "\n[[campaigns]]\ncontroller = 'x'"
        )
    assert all(len(each) < 20 * MOST_KNOWN for each in str(told.value).splitlines())


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "9" * 10_000, "a = 1\na = 2", "\x00", "[asterisk"]
)
def test_a_configuration_file_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ccari.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="is not TOML"):
        load(file)
