"""The product's dependencies: pinned, hashed, and under licences that demand nothing of its users.

``make audit`` asks PyPI what is only known there: whether one has a vulnerability or was withdrawn.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-audit.lock", "requirements-build.lock")
#: Words in metadata that name a licence which only demands its notice.
PERMISSIVE = re.compile(
    r"MIT(-0)?( License)?|BSD( License)?|BSD-[23]-Clause|Apache-2\.0|Apache Software License|ISC License \(ISCL\)|ISC|PSF-2\.0"
    r"|Python Software Foundation License|Unlicense|0BSD"
)
#: Packages whose metadata say less than their licence files, or that are not installed here; a person read their
#: licences.
READ_BY_HAND = {
    "asyncari": "MIT OR Apache-2.0", "asyncswagger11": "BSD-3-Clause", "asyncwebsockets": "MIT", "audioop-lts": "PSF-2.0",
    "colorama": "BSD-3-Clause", "pyrage": "MIT",
}  # fmt: skip
#: Copyleft limited to the file (MPL-2.0, 1.10): both are used unchanged.
OF_A_FILE = {"certifi", "orjson"}
_REQUIREMENT = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^\s;]+)( ; [^\\]+)?")


@dataclass(frozen=True)
class Locked:
    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def locked(lock: str) -> list[Locked]:
    """Each requirement; a line that is not one, nor a hash or a comment, is an error."""
    found: list[Locked] = []
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        said, *hashes = line.split("--hash=")
        requirement = _REQUIREMENT.fullmatch(said.strip())
        assert requirement is not None, f"{lock}: {said.strip()!r} is not pinned to a version"
        found.append(
            Locked(
                requirement[1], requirement[2], requirement[3] or "", tuple(each.strip() for each in hashes)
            )
        )
    return found


def licences(name: str) -> Iterator[str]:
    """As the package declares them; each must be permissive, unless OR offers a choice."""
    told = metadata.metadata(name)
    classifiers = [each for each in told.get_all("Classifier") or [] if each.startswith("License ::")]
    if "License-Expression" in told:
        yield from re.split(r" AND (?![^(]*\))", told["License-Expression"])
    elif classifiers:
        yield from (each.rpartition(" :: ")[2] for each in classifiers)
    elif "License" in told:
        yield told["License"]


def is_permissive(licence: str) -> bool:
    chosen = licence.removeprefix("(").removesuffix(")").split(" OR ") if " OR " in licence else [licence]
    return any(PERMISSIVE.fullmatch(each.strip()) for each in chosen)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_dependency_is_whatever_the_registry_gives_that_day(lock: str) -> None:
    found = locked(lock)
    assert len(found) > 4
    for each in found:
        assert each.hashes, each
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in each.hashes), each


def test_the_product_is_tested_with_other_versions_than_it_is_installed_with() -> None:
    tried = locked("requirements-dev.lock")
    assert set(locked("requirements.lock")) <= set(tried)
    assert set(locked("requirements-build.lock")) <= set(tried)
    # a package may have one version for each Python
    for name in {each.name for each in tried}:
        those = [each for each in tried if each.name == name]
        try:
            assert metadata.version(name) in {each.version for each in those}
        except metadata.PackageNotFoundError:
            assert all(each.marker for each in those), f"{name} is locked, and not installed"


def test_a_dependency_is_declared_and_not_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {
        re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0].lower()
        for each in project["project"]["dependencies"]
    }
    assert names <= {each.name for each in locked("requirements.lock")}


def test_the_product_comes_with_copyleft_or_with_terms_that_nobody_has_read() -> None:
    for each in locked("requirements.lock"):
        if each.name in READ_BY_HAND:
            assert is_permissive(READ_BY_HAND[each.name])
            continue
        told = list(licences(each.name))
        assert told, f"{each.name} does not declare its licence: read it"
        unfit = [one for one in told if not is_permissive(one)]
        if each.name in OF_A_FILE:
            assert all(
                re.fullmatch(r"MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)", one) for one in unfit
            ), each
            continue
        assert not unfit, f"{each.name}: {unfit}"


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "LGPL-2.1-or-later", "AGPL-3.0", "MPL-2.0", "Proprietary", "OSI Approved", ""]
)
def test_a_licence_that_is_not_permissive_passes_for_one(licence: str) -> None:
    assert not is_permissive(licence)
    assert is_permissive(f"({licence} OR MIT)")
