"""Writes a recording's tag: as JSON beside the file, and inside it as metadata that any player shows."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from ccari.errors import RecordingDelayed
from ccari.policy.bases import LegalBasis
from ccari.ports.recordings import RecordingTag, StoredFile

#: Every format that any version of ccari has written.
FORMS = ("wav", "flac", "opus")
#: The suffix of an encrypted file, after that of its format.
ENCRYPTED = ".age"
_ENDINGS = ("json", *FORMS, *(f"{form}{ENCRYPTED}" for form in FORMS))
_LEGIBLY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def beside(file: Path) -> Path:
    """The path of a stored recording's tag."""
    return file.with_name(f"{_id(file)}.json")


def all_of(file: Path) -> list[Path]:
    """All files of a stored recording, in any format, and its tag: those in its folder that are named by its id.

    Tests each possible name: listing a folder with a day's ten thousand recordings takes 15 ms of processor time.
    """
    names = (f"{_id(file)}.{ending}" for ending in _ENDINGS)
    return [path for name in names if (path := file.with_name(name)).exists()]


def _id(file: Path) -> str:
    return file.name.partition(".")[0]


def sidecar(tag: RecordingTag, kept: StoredFile) -> bytes:
    """The content of the tag file: all that is known of the recording, for anyone who finds it without the database."""
    return orjson.dumps(sidecar_fields(tag, kept), option=_LEGIBLY)


def sidecar_fields(tag: RecordingTag, kept: StoredFile) -> dict[str, Any]:
    """The fields of the tag file."""
    file: dict[str, Any] = {
        "format": kept.format, "duration_ms": kept.duration_ms, "silent": kept.silent, "sha256": kept.sha256.hex(),
        "size": kept.size, "file_sha256": kept.file_sha256.hex(), "recipients": list(kept.recipients),
    }  # fmt: skip
    return _tag_fields(tag) | file


def metadata(tag: RecordingTag) -> Mapping[str, str]:
    """The tag as metadata inside the file: under the common names that players show, and under its own names.

    WAV has only the common names (RIFF INFO), so the comment repeats the whole tag as JSON.
    """
    own = _tag_fields(tag)
    common = {
        "title": own["recording_id"], "artist": own["controller"], "album": own["campaign"],
        "date": own["started_at"][:10], "comment": json.dumps(own, sort_keys=True, ensure_ascii=False),
    }  # fmt: skip
    return common | own


def _tag_fields(tag: RecordingTag) -> dict[str, str]:
    as_text = {each.name: str(getattr(tag, each.name)) for each in fields(tag)}
    try:
        basis = LegalBasis(tag.legal_basis)
    except ValueError:
        # the call's journal still has the basis on which it was recorded
        raise RecordingDelayed(
            f"somebody has changed its legal basis: ccari calls show {tag.call_id}"
        ) from None
    return as_text | {
        "legal_basis_iri": basis.iri,
        "started_at": tag.started_at.isoformat(timespec="milliseconds"),
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
    }
