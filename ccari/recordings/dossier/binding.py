"""Writes a dossier: one signed ZIP of what is on record of a person, which the controller hands to an authority (Articles 5(2), 31, 58(1)).

Its files are listed in :data:`SUMS`, in the format of sha256sum(1), and :data:`SIGNATURE` is the bare Ed25519 signature of that list:
whoever has no ccari checks both with tools that they have. The packs in it have their own signatures.
"""

import hashlib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import resources
from typing import Any, BinaryIO

import orjson

from ccari.errors import CcariError, EvidenceError, UnfinishedError, UnknownError
from ccari.office.languages import of_country
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.policy.seal import Kind
from ccari.policy.sentences import in_utc
from ccari.ports.evidence import Account, Proving
from ccari.ports.keying import Digests
from ccari.recordings.evidence.authority import Authority
from ccari.recordings.evidence.hearing import has_notice
from ccari.recordings.evidence.keys import SigningKey, VerifyingKey
from ccari.recordings.evidence.pack import ZIP_DATE
from ccari.recordings.evidence.vcon import plain
from ccari.recordings.evidence.verifying import verify

FORMAT = "ccari dossier 1"
ABOUT, KNOWN, SUMS, SIGNATURE = "dossier.json", "known.json", "SHA256SUMS", "SHA256SUMS.sig"
_FOLDERS = {Kind.CALL: "calls", Kind.REQUEST: "requests"}
#: What both the list of calls and the row in a call's pack have.
_SHARED = (
    "direction", "controller", "campaign", "legal_basis", "number", "outcome", "reason", "agent", "revision", "notice_version",
    "opened_at", "dialled_at", "heard_at", "ended_at",
)  # fmt: skip
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
class Packing:
    """How the evidence is packed. ``key`` signs the dossier; ``keys``: all of the installation, and ``authority``: that of its time stamps,
    if it is known: each pack is verified against them. ``with_policy``: packs have the policy file, which names all controllers.
    """

    prove: Proving
    key: SigningKey
    keys: Sequence[VerifyingKey]
    authority: Authority | None
    with_policy: bool = True


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a call or request has no pack. ``unfit``: it has no valid evidence; otherwise it was not over yet, or changed meanwhile."""

    reason: str
    unfit: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """A dossier that was written. ``packs``: how many it holds. ``keys``: all that have signed anything in it, the newest last.
    ``left_out``: by call or reference, why its pack is not in it. ``unheard``: the calls whose pack lacks audio or words of the notice
    that was heard.
    """

    sha256: str
    packs: int
    keys: Sequence[VerifyingKey]
    left_out: Mapping[str, LeftOut]
    unheard: Sequence[str]


def journals_of(known: Mapping[str, Any]) -> list[tuple[Kind, str]]:
    """The calls and requests of which a dossier has the evidence, in the order of the file :data:`KNOWN`."""
    return [
        *((Kind.CALL, str(each["id"])) for each in known["calls"]),
        *((Kind.REQUEST, str(each["reference"])) for each in known["requests"]),
    ]


def calls_of(known: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The calls of the file :data:`KNOWN`, by id."""
    return {str(each["id"]): each for each in known["calls"]}


def difference(known: Mapping[str, Any], packed: Mapping[str, Any]) -> str | None:
    """The first thing that a call of :data:`KNOWN` says otherwise than the row in its pack does, in words; None if there is none."""
    for name in _SHARED:
        if name in known and _comparable(name, known[name]) != _comparable(name, packed.get(name)):
            return f"{name} is {known[name]} in {KNOWN}, and {packed.get(name)} in its evidence"
    return None


def _comparable(name: str, value: Any) -> Any:
    """Packs have milliseconds, and leave out what is None."""
    if value is None or not name.endswith("_at"):
        return value
    at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def pack_of(kind: Kind, id_: str) -> str:
    """Where the evidence of a call or request is in a dossier."""
    return f"{_FOLDERS[kind]}/{id_}.zip"


async def bind(
    file: BinaryIO, matter: Matter, packing: Packing, at: datetime, progress: Callable[[int], None]
) -> Bound:
    """Write the dossier to ``file``, which can be read and written; ``at``: now, with time zone. ``progress`` is told how many packs are done.

    A call that is not over, or that has no evidence which :func:`ccari.recordings.evidence.verifying.verify` finds valid, has no pack: the
    dossier says why.

    Raises
    ------
    CcariError
        If it would be larger than a ZIP that every program can read.
    ConfigError, StoreError, OSError
        If the newest key is missing, the database fails, or the disk is full.
    """
    try:
        # without ZIP64, which the verifier refuses, as programs differ in which of its two ends they read
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=False) as archive:
            binder = _Binder(archive)
            packed = await _pack(binder, matter, packing, progress)
            signers = [
                each
                for each in packing.keys
                if each.fingerprint in {*packed.signers, packing.key.fingerprint}
            ]
            _add_others(binder, matter, packing.key, signers, at, packed.left_out)
            sums = binder.sums()
            binder.add(SUMS, sums)
            binder.add(SIGNATURE, packing.key.sign(sums))
    except zipfile.LargeZipFile:
        raise CcariError(
            "the dossier would be larger than 2 GiB, or have more than 65,535 files: export the evidence of each call by itself"
        ) from None
    file.seek(0)
    sha256 = hashlib.sha256()
    for part in iter(partial(file.read, _PART_BYTES), b""):
        sha256.update(part)
    packs = len(journals_of(matter.known)) - len(packed.left_out)
    return Bound(sha256.hexdigest(), packs, signers, packed.left_out, packed.unheard)


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


@dataclass(frozen=True, slots=True)
class _Packed:
    """``signers``: the fingerprints of the keys that have signed a pack or a seal in one; the others are as in :class:`Bound`."""

    signers: set[str] = field(default_factory=set)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)


async def _pack(
    binder: _Binder, matter: Matter, packing: Packing, progress: Callable[[int], None]
) -> _Packed:
    """Add the pack of each call and request."""
    packed, calls = _Packed(), calls_of(matter.known)
    for done, (kind, id_) in enumerate(journals_of(matter.known), start=1):
        try:
            account = await packing.prove.sealed(id_, lambda controller: controller == matter.controller.id)
            _refuse_unknown_signers(account, packing.keys)
            content, heard = packing.prove.pack(account, with_policy=packing.with_policy)
            # whoever is given the dossier cannot verify any of it if one pack is refused
            verdict = verify(content, packing.keys, authority=packing.authority)
            if kind is Kind.CALL and (changed := difference(calls[id_], plain(account.subject))):
                raise UnfinishedError(f"it changed while the dossier was made ({changed}): make it again")
        except EvidenceError as error:
            packed.left_out[id_] = LeftOut(str(error), unfit=not isinstance(error, UnfinishedError))
        except UnknownError:
            reason = f"{kind} {id_} was no longer on record of the controller when it was to be packed"
            packed.left_out[id_] = LeftOut(reason, unfit=True)
        else:
            binder.add(pack_of(kind, id_), content)
            packed.signers.update((verdict.key, *(each.seal.statement.key for each in account.seals)))
            if not has_notice(account.journal, heard):
                packed.unheard.append(id_)
        progress(done)
    return packed


def _refuse_unknown_signers(account: Account, keys: Sequence[VerifyingKey]) -> None:
    """Raise EvidenceError if a seal was signed with a key that is missing: that of one seal must not keep back the rest."""
    known = {each.fingerprint for each in keys}
    for each in account.seals:
        if each.seal.statement.key not in known:
            raise EvidenceError(
                f"a seal of {account.kind} {account.id} is signed with the key {each.seal.statement.key}, which is not in [keys] dir"
            )


def _add_others(
    binder: _Binder, matter: Matter, key: SigningKey, signers: Sequence[VerifyingKey], at: datetime,
    left_out: Mapping[str, LeftOut],
) -> None:  # fmt: skip
    """Add all but the packs."""
    whose = matter.controller
    for name, language in (("README.txt", "en"), ("README.{}.txt", of_country(whose.country))):
        if language is not None:
            binder.add(name.format(language), _readme(language, matter, key, signers, at))
    # a list, as ccari subject find --json prints it
    binder.add(KNOWN, _json([matter.known]))
    expired = matter.accesses_expired_before
    binder.add("accesses.json", _json({"accesses": matter.accesses, "expired_before": expired}))
    for reference, told in matter.requests.items():
        binder.add(f"{_FOLDERS[Kind.REQUEST]}/{reference}.json", _json(told))
    for each in signers:
        binder.add(f"keys/{each.fingerprint}.pub", each.public_pem)
    about = {
        "dossier": FORMAT, "made_at": at, "why": matter.why, "key": key.fingerprint, "keys": [each.fingerprint for each in signers],
        "controller": {"id": whose.id, "name": whose.name, "country": whose.country, "dpo": whose.dpo},
        "number": matter.number.e164, "digests": [each.hex() for each in matter.digests.all], "left_out": left_out,
    }  # fmt: skip
    binder.add(ABOUT, _json(about))


def _readme(
    language: str, matter: Matter, key: SigningKey, signers: Sequence[VerifyingKey], at: datetime
) -> bytes:
    text = resources.files("ccari.recordings.dossier").joinpath(f"readme.{language}.txt").read_text("utf-8")
    return text.format(
        name=matter.controller.name,
        id=matter.controller.id,
        at=in_utc(at),
        key=key.fingerprint,
        keys=" ".join(f"--key {each.fingerprint}.pub" for each in signers),
    ).encode()


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2) + b"\n"
