"""The file format of a right that waits on this node's disk.

A file is a header line that names the format and the key, a nonce of 12 bytes, and JSON in AES-256-GCM (NIST SP 800-38D). The file's name
is authenticated too: a file that was renamed, truncated or changed is refused as a whole.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ccari.errors import CcariError, ConfigError
from ccari.keyring.journal_key import CHECK_DIGITS, check
from ccari.policy.bases import LegalBasis
from ccari.policy.chain import Entry
from ccari.policy.rights import Level, NumberFrom, Right
from ccari.ports.calls import OpenedCall
from ccari.ports.keying import Digests
from ccari.ports.pressed import Pressed
from ccari.ports.requests import Exercise, Intake

_KIND = b"ccari right 1 "
HEADER_BYTES = len(_KIND) + CHECK_DIGITS + 1
_HEADER = re.compile(re.escape(_KIND) + b"([0-9a-f]{%d})\n" % CHECK_DIGITS)
_NONCE_BYTES = 12
#: How to read those fields of an exercise that are not plain JSON.
_READ: Mapping[str, Any] = {
    "right": Right, "received_at": datetime.fromisoformat, "due": date.fromisoformat, "recording_basis": LegalBasis,
    "consent_campaigns": tuple, "intake": Intake, "number_from": NumberFrom, "level": Level, "id": UUID,
}  # fmt: skip


class UnreadableError(CcariError):
    """The file was truncated, changed or renamed, or a newer ccari wrote it: this ccari will never be able to read it."""


class AnotherKeyError(ConfigError):
    """The file's header names another key: with that key it can be read, if it is whole."""


def name_of(pressed: Pressed) -> str:
    """The file's name: when the right was pressed, so that names sort in that order, and the id of the exercise."""
    # in UTC: Asterisk uses its machine's time zone, in which one hour a year comes twice
    at = pressed.exercise.received_at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S.%f}Z-{pressed.exercise.id}.right"


def pressed_at(name: str) -> datetime:
    """When the right in the file of that name was pressed. Raises ValueError for any other name."""
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S.%f%z")


def seal(pressed: Pressed, key: bytes) -> bytes:
    """The content of the file."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, json.dumps(_as_json(pressed)).encode(), name_of(pressed).encode())
    return _header(key) + nonce + sealed


def unseal(name: str, content: bytes, key: bytes) -> Pressed:
    """The right in the file ``name`` with that ``content``, as passed to :func:`seal`.

    Raises
    ------
    UnreadableError
        If the content is not whole, or not of that name.
    AnotherKeyError
        If it says that it was encrypted by another key.
    """
    header = _header(key)
    if not content.startswith(_KIND):
        raise UnreadableError("it is cut off, is not a file of ccari, or was written by a newer ccari")
    if not content.startswith(header):
        other = _HEADER.match(content)
        if other is None:
            raise UnreadableError("it is cut off, or was changed")
        raise AnotherKeyError(
            f"it was encrypted with the journal.key {other[1].decode()}, but this one is {check(key)}: restore the other"
        )
    rest = content[len(header) :]
    try:
        clear = AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], name.encode())
        return _pressed(json.loads(clear))
    except InvalidTag:
        raise UnreadableError("it is cut off, was changed, or was renamed") from None
    except (ValueError, KeyError, TypeError):
        raise UnreadableError(
            "it lacks what a right needs: it may have been written by a newer ccari"
        ) from None


def is_of_another_key(content: bytes, key: bytes) -> bool:
    """Whether the header of a file that begins with ``content`` names another key."""
    return _HEADER.match(content) is not None and not content.startswith(_header(key))


def _header(key: bytes) -> bytes:
    return _KIND + check(key).encode("ascii") + b"\n"


def _as_json(pressed: Pressed) -> dict[str, Any]:
    call, keyed = asdict(pressed.call), pressed.call.digests
    # a request does not need register listings: they are looked up for each call
    del call["listed_as"]
    call |= {"id": str(pressed.call.id), "token": str(pressed.call.token)}
    call["keyed"] = [keyed.newest.hex(), keyed.key_version, [each.hex() for each in keyed.all]]
    exercise = asdict(pressed.exercise)
    for name in ("received_at", "due"):
        exercise[name] = exercise[name].isoformat()
    exercise["id"] = str(pressed.exercise.id)
    journal = [
        [each.at.isoformat(), each.event, dict(each.fields), each.salt.hex()] for each in pressed.journal
    ]
    return {"call": call, "exercise": exercise, "journal": journal}


def _pressed(content: Mapping[str, Any]) -> Pressed:
    newest, version, all_digests = content["call"]["keyed"]
    digests = Digests(bytes.fromhex(newest), version, tuple(map(bytes.fromhex, all_digests)))
    call = {**content["call"], "keyed": digests}
    call |= {name: UUID(call[name]) for name in ("id", "token")}
    values = content["exercise"]
    exercise = {
        each.name: _READ[each.name](values[each.name]) if each.name in _READ and values[each.name] is not None
        else values[each.name]
        for each in fields(Exercise)
    }  # fmt: skip
    journal = tuple(
        Entry(datetime.fromisoformat(at), event, of_event, bytes.fromhex(salt))
        for at, event, of_event, salt in content["journal"]
    )
    return Pressed(OpenedCall(**call), Exercise(**exercise), journal)
