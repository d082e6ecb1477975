"""Verifies a dossier, given only its file and a public key: that nothing was changed, is missing or was added; and each pack in it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZipInfo

import orjson

from ccari.errors import EvidenceError
from ccari.policy.seal import Kind
from ccari.recordings.dossier.binding import (
    ABOUT,
    FORMAT,
    KNOWN,
    SIGNATURE,
    SUMS,
    LeftOut,
    calls_of,
    difference,
    journals_of,
    pack_of,
)
from ccari.recordings.evidence import verifying as packs
from ccari.recordings.evidence.authority import Authority
from ccari.recordings.evidence.keys import VerifyingKey
from ccari.recordings.evidence.legible import legible, moment
from ccari.recordings.evidence.unzipping import content_of, contents, listed, unzipped
from ccari.recordings.evidence.verifying import Verdict, sha256_of

#: A line of sha256sum(1).
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n\\]+)\n")
#: The most bytes of each, read before anybody has signed anything: some 65,535 lines; 64 bytes, packed.
_MOST_OF_SUMS, _MOST_OF_SIGNATURE = 16 * 2**20, 1024


@dataclass(frozen=True, slots=True)
class DossierVerdict:
    """What a valid dossier holds: the id of its ``controller``, the verdict on each pack, and, by call or reference, why a pack was
    ``left_out``. ``uncompared``: those whose number could not be compared, as it is erased or under a retired secret.
    """

    controller: str
    made_at: datetime
    key: str
    packs: Sequence[Verdict]
    left_out: Mapping[str, LeftOut]
    uncompared: Sequence[str]


@dataclass(frozen=True, slots=True)
class _About:
    """What the dossier says of itself."""

    controller: str
    made_at: datetime
    digests: frozenset[str]
    left_out: Mapping[str, LeftOut]


def is_dossier(file: BinaryIO) -> bool:
    """Whether a ZIP is, or was, a dossier rather than a pack. Raises EvidenceError if it is no ZIP, and OSError."""
    return not {ABOUT, SUMS}.isdisjoint(each.filename for each in listed(file))


def verify(
    file: BinaryIO, keys: Sequence[VerifyingKey], recordings: Path | None = None, authority: Authority | None = None,
    progress: Callable[[int], None] = lambda _files: None,
) -> DossierVerdict:  # fmt: skip
    """Verify a dossier as :func:`ccari.recordings.evidence.verifying.verify` does a pack. ``progress`` is told how many files were read.

    Raises
    ------
    EvidenceError
        If something is wrong, naming the first such thing.
    OSError
        If the file cannot be read.
    """
    entries = listed(file)
    named = {each.filename: each for each in entries}
    if len(named) != len(entries):
        raise EvidenceError("the dossier contains a file twice")
    # the signature first: what nobody has signed is not worth reading
    key, sums = _signed(file, named, keys)
    _refuse_others(named, sums)
    about = legible(lambda: _about(_checked(file, named[ABOUT], sums)), f"{ABOUT} is damaged")
    known = legible(lambda: orjson.loads(_checked(file, named[KNOWN], sums))[0], f"{KNOWN} is damaged")
    held = legible(lambda: _held(known, about, sums), f"{KNOWN} is damaged")
    calls, verdicts, uncompared = calls_of(known), {}, list[str]()
    for done, (name, content) in enumerate(contents(file, entries), start=1):
        if name in sums and sha256_of(content) != sums[name]:
            raise EvidenceError(f"{name} was changed")
        if name in held:
            try:
                files = unzipped(content)
                verdicts[name] = verdict = packs.verify_files(files, keys, recordings, authority)
                if not _is_theirs(files, verdict, held[name], about, calls):
                    uncompared.append(verdict.id)
            except EvidenceError as error:
                raise EvidenceError(f"{name}: {error}") from None
        progress(done)
    in_order = [verdicts[each] for each in held]
    return DossierVerdict(
        about.controller, about.made_at, key.fingerprint, in_order, about.left_out, uncompared
    )


def _signed(
    file: BinaryIO, named: Mapping[str, ZipInfo], keys: Sequence[VerifyingKey]
) -> tuple[VerifyingKey, dict[str, str]]:
    """The key that has signed the list of files, and the SHA-256 of each."""
    for each in (SUMS, SIGNATURE):
        if each not in named:
            raise EvidenceError(f"{each} is missing from the dossier")
    content, signature = (
        content_of(file, named[SUMS], _MOST_OF_SUMS),
        content_of(file, named[SIGNATURE], _MOST_OF_SIGNATURE),
    )
    key = next((each for each in keys if each.verifies(signature, content)), None)
    if key is None:
        raise EvidenceError(
            f"{SUMS} is signed with none of the keys that it was checked against ({', '.join(each.fingerprint for each in keys)}): it was "
            "changed, is from another installation, or was signed with another key"
        )
    text = content.decode(errors="replace")
    sums = {name: sha256 for sha256, name in _SUM.findall(text)}
    if "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()) != text:
        raise EvidenceError(f"{SUMS} is damaged")
    return key, sums


def _refuse_others(named: Mapping[str, ZipInfo], sums: Mapping[str, str]) -> None:
    for each in (ABOUT, KNOWN, *sums):
        if each not in named or each not in sums:
            raise EvidenceError(f"{each} is missing from the dossier")
    for each in named:
        if each not in sums and each not in {SUMS, SIGNATURE}:
            raise EvidenceError(f"{each} is not part of the signed dossier")


def _checked(file: BinaryIO, entry: ZipInfo, sums: Mapping[str, str]) -> bytes:
    content = content_of(file, entry)
    if sha256_of(content) != sums[entry.filename]:
        raise EvidenceError(f"{entry.filename} was changed")
    return content


def _about(content: bytes) -> _About:
    told = orjson.loads(content)
    if told.get("dossier") != FORMAT:
        raise EvidenceError(
            f"this version of ccari does not know dossiers of the kind {told.get('dossier')!r}"
        )
    left_out = {
        str(each): LeftOut(str(why["reason"]), bool(why["unfit"])) for each, why in told["left_out"].items()
    }
    return _About(
        str(told["controller"]["id"]), moment(told["made_at"]), frozenset(told["digests"]), left_out
    )


def _held(known: Mapping[str, Any], about: _About, sums: Mapping[str, str]) -> dict[str, tuple[Kind, str]]:
    """By its name, each pack that must be there: one of each call and request that is known, unless the dossier says why not."""
    held = {pack_of(kind, id_): (kind, id_) for kind, id_ in journals_of(known) if id_ not in about.left_out}
    for each in held:
        if each not in sums:
            raise EvidenceError(f"{each} is missing from the dossier, though {KNOWN} names it")
    for each in sums:
        if each.endswith(".zip") and each not in held:
            raise EvidenceError(f"{each} is in the dossier, though {KNOWN} does not name it")
    return held


def _is_theirs(
    files: Mapping[str, bytes], verdict: Verdict, expected: tuple[Kind, str], about: _About,
    calls: Mapping[str, Mapping[str, Any]],
) -> bool:  # fmt: skip
    """Whether a verified pack is of this number; False also if that cannot be seen. ``files``: the pack's, by name; ``calls``: those that
    are known, by id.

    Raises EvidenceError if it is of another call, request or controller, of a call with another number, or of one that is known otherwise.
    """
    if (verdict.kind, verdict.id) != expected:
        raise EvidenceError(f"it is the evidence of {verdict.kind} {verdict.id}")
    row = legible(lambda: dict(orjson.loads(files["subject.json"])), "subject.json is damaged")
    if row.get("controller") != about.controller:
        raise EvidenceError(f"it is of another controller than {ABOUT} says")
    is_call, is_theirs = verdict.kind is Kind.CALL, str(row.get("digest")) in about.digests
    # a request stays with the person when the secret under which it came is retired, so its first digest may be an earlier one
    if is_call and "digest" in row and not is_theirs:
        raise EvidenceError(f"it is of another number than {ABOUT} says")
    if is_call and (fault := legible(lambda: difference(calls[verdict.id], row), f"{KNOWN} is damaged")):
        raise EvidenceError(fault)
    return is_theirs
