"""Writes a dossier: one signed ZIP of what is on record of a person, which the controller hands to an authority (Articles 5(2), 31, 58(1)).

Its files are listed in :data:`SUMS`, in the format of sha256sum(1), and :data:`SIGNATURE` is the bare Ed25519 signature of that list:
whoever has no ccari checks both with tools that they have. The packs in it have their own signatures.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib import resources
from typing import Any, BinaryIO

import orjson

from ccari.errors import CcariError, EvidenceError
from ccari.office.languages import of_country
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.seal import Kind
from ccari.ports.evidence import Proving
from ccari.ports.keying import Digests
from ccari.recordings.evidence.hearing import has_notice
from ccari.recordings.evidence.keys import SigningKey
from ccari.recordings.evidence.pack import ZIP_DATE

FORMAT = "ccari dossier 1"
ABOUT, KNOWN, SUMS, SIGNATURE = "dossier.json", "known.json", "SHA256SUMS", "SHA256SUMS.sig"
_FOLDERS = {Kind.CALL: "calls", Kind.REQUEST: "requests"}
#: How much of the finished file is read at a time.
_PART_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Matter:
    """Whose dossier it is, ``why`` it is made, and what is on record besides the evidence.

    ``known``: what the controller knows of the number (:func:`ccari.office.known.known_of`), with all calls and requests. ``requests``: by
    reference, each with its answers (:func:`ccari.office.dossiers.dossier`). ``accesses``: who looked at any of it, the newest first;
    those before ``accesses_expired_before`` have expired.
    """

    controller: Controller
    number: Number = field(repr=False)
    digests: Digests = field(repr=False)
    why: str
    known: Mapping[str, Any] = field(repr=False)
    requests: Mapping[str, Mapping[str, Any]] = field(repr=False)
    accesses: Sequence[Mapping[str, Any]] = field(repr=False)
    accesses_expired_before: datetime | None


@dataclass(frozen=True, slots=True)
class Bound:
    """A dossier that was written. ``packs``: how many it holds. ``left_out``: by call or reference, why its pack is not in it.
    ``unheard``: the calls whose pack lacks audio or words of the notice that was heard.
    """

    sha256: str
    packs: int
    left_out: Mapping[str, str]
    unheard: Sequence[str]


def journals_of(known: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    """The calls and requests of which a dossier has the evidence, in the order of the file :data:`KNOWN`."""
    return [
        *((Kind.CALL, str(each["id"])) for each in known["calls"]),
        *((Kind.REQUEST, str(each["reference"])) for each in known["requests"]),
    ]


def pack_of(kind: Kind, id_: str) -> str:
    """Where the evidence of a call or request is in a dossier."""
    return f"{_FOLDERS[kind]}/{id_}.zip"


async def bind(
    file: BinaryIO, matter: Matter, prove: Proving, key: SigningKey, at: datetime, progress: Callable[[int], None]
) -> Bound:  # fmt: skip
    """Write the dossier to ``file``, which can be read and written; ``at``: now, with time zone. ``progress`` is told how many packs are done.

    A call that is not over, or whose journal or rows were changed, has no pack: the dossier says why.

    Raises
    ------
    CcariError
        If it would be larger than a ZIP that every program can read.
    ConfigError, StoreError, OSError
        If a key is missing, the database fails, or the disk is full.
    """
    try:
        # without ZIP64, which the verifier refuses, as programs differ in which of its two ends they read
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as archive:
            binder = _Binder(archive)
            left_out, unheard = await _fill(binder, matter, prove, key, at, progress)
            sums = binder.sums()
            binder.add(SUMS, sums)
            binder.add(SIGNATURE, key.sign(sums))
    except zipfile.LargeZipFile:
        raise CcariError(
            "the dossier would be larger than 2 GiB, or have more than 65,535 files: export the evidence of each call by itself"
        ) from None
    file.seek(0)
    sha256 = hashlib.sha256()
    for part in iter(partial(file.read, _PART_BYTES), b""):
        sha256.update(part)
    return Bound(sha256.hexdigest(), len(journals_of(matter.known)) - len(left_out), left_out, unheard)


class _Binder:
    """Adds files to the ZIP, and hashes them."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._sums: dict[str, str] = {}

    def add(self, name: str, content: bytes) -> None:
        self._archive.writestr(zipfile.ZipInfo(name, ZIP_DATE), content, zipfile.ZIP_DEFLATED)
        self._sums[name] = hashlib.sha256(content).hexdigest()

    def sums(self) -> bytes:
        return "".join(f"{sha256}  {name}\n" for name, sha256 in self._sums.items()).encode()


async def _fill(
    binder: _Binder, matter: Matter, prove: Proving, key: SigningKey, at: datetime, progress: Callable[[int], None]
) -> tuple[dict[str, str], list[str]]:  # fmt: skip
    """What was left out, and the calls whose notice the packs lack: as in :class:`Bound`."""
    whose, left_out, unheard = matter.controller, dict[str, str](), list[str]()
    for name, language in (("README.txt", "en"), ("README.{}.txt", of_country(whose.country))):
        if language is not None:
            binder.add(name.format(language), _readme(language, matter, key, at))
    # a list, as ccari subject find --json prints it
    binder.add(KNOWN, _json([matter.known]))
    expired = matter.accesses_expired_before
    binder.add("accesses.json", _json({"accesses": matter.accesses, "expired_before": expired}))
    for reference, told in matter.requests.items():
        binder.add(f"{_FOLDERS[Kind.REQUEST]}/{reference}.json", _json(told))
    for done, (kind, id_) in enumerate(journals_of(matter.known), start=1):
        try:
            account = await prove.sealed(id_, lambda controller: controller == whose.id)
            content, heard = prove.pack(account)
            binder.add(pack_of(kind, id_), content)
            if not has_notice(account.journal, heard):
                unheard.append(id_)
        except EvidenceError as error:
            left_out[id_] = str(error)
        progress(done)
    binder.add(f"keys/{key.fingerprint}.pub", key.public_pem)
    about = {
        "dossier": FORMAT, "made_at": at, "why": matter.why, "key": key.fingerprint,
        "controller": {"id": whose.id, "name": whose.name, "country": whose.country, "dpo": whose.dpo},
        "number": matter.number.e164, "digests": [each.hex() for each in matter.digests.all], "left_out": left_out,
    }  # fmt: skip
    binder.add(ABOUT, _json(about))
    return left_out, unheard


def _readme(language: str, matter: Matter, key: SigningKey, at: datetime) -> bytes:
    text = resources.files("ccari.recordings.dossier").joinpath(f"readme.{language}.txt").read_text("utf-8")
    return text.format(
        name=matter.controller.name,
        id=matter.controller.id,
        at=f"{at:%Y-%m-%d %H:%M:%S} UTC",
        key=key.fingerprint,
    ).encode()


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2) + b"\n"
