"""Packs of made accounts, as they are given out, taken apart and put together again."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from ccari.errors import EvidenceError
from ccari.policy.seal import Kind
from ccari.ports.evidence import Account, HeardSound
from ccari.recordings.evidence.authority import Authority
from ccari.recordings.evidence.keys import SigningKey
from ccari.recordings.evidence.pack import VCON, pack
from ccari.recordings.evidence.verifying import Verdict, verify
from tests.unit.recordings import accounts
from tests.unit.recordings.accounts import HEARD, KEY, NOON

MADE_AT = NOON + timedelta(hours=1)

Files = dict[str, bytes]


def packed(
    account: Account | None = None, *, key: SigningKey = KEY, heard: Sequence[HeardSound] | None = None
) -> bytes:
    """``heard`` is :data:`HEARD` unless it is given; for the account of a request, nothing was heard."""
    if heard is None:
        heard = HEARD if account is None or account.kind is Kind.CALL else []
    return pack(account or accounts.call(), heard, key, [KEY.verifying], MADE_AT)


def files_of(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        return {name: read.read(name) for name in read.namelist()}


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", method) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return into.getvalue()


def checked(content: bytes, key: SigningKey = KEY) -> Verdict:
    return verify(content, [key.verifying])


def vcon_of(content: bytes) -> dict[str, Any]:
    payload = json.loads(files_of(content)[VCON])["payload"]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def fault_of(
    change: Callable[[Files], None], account: Account | None = None, authority: Authority | None = None
) -> str:
    files = files_of(packed(account))
    change(files)
    with pytest.raises(EvidenceError) as fault:
        verify(zipped(files), [KEY.verifying], authority=authority)
    return str(fault.value)
