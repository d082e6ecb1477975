"""How a recording's tag is told: beside the file as JSON, and in it as metadata that any player shows."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson

from ccari.errors import RecordingDelayed
from ccari.policy.bases import LegalBasis
from ccari.ports.recordings import Kept, RecordingTag

#: Every format that a version of ccari has ever written.
FORMS = ("wav", "flac", "opus")
_ENDINGS = ("json", *FORMS, *(f"{form}.age" for form in FORMS))
_LEGIBLY = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE


def beside(file: Path) -> Path:
    """Where the tag of a stored recording lies."""
    return file.with_name(f"{_id(file)}.json")


def all_of(file: Path) -> list[Path]:
    """All that lies in a stored recording's folder by its name, whatever the format: the name is its id.

    Each name that there can be is looked for: to list the folder takes 15 ms of the processor where it holds the ten thousand
    recordings of a day.
    """
    names = (f"{_id(file)}.{ending}" for ending in _ENDINGS)
    return [each for name in names if (each := file.with_name(name)).exists()]


def _id(file: Path) -> str:
    return file.name.partition(".")[0]


def sidecar(tag: RecordingTag, kept: Kept) -> bytes:
    """The whole of what is known, for whoever finds the file without the database."""
    return orjson.dumps(told(tag, kept), option=_LEGIBLY)


def told(tag: RecordingTag, kept: Kept) -> dict[str, Any]:
    """What lies beside a recording, by name."""
    about: dict[str, Any] = {
        "format": kept.format, "duration_ms": kept.duration_ms, "silent": kept.silent, "sha256": kept.sha256.hex(),
        "size": kept.size, "file_sha256": kept.file_sha256.hex(), "recipients": list(kept.recipients),
    }  # fmt: skip
    return _told(tag) | about


def metadata(tag: RecordingTag) -> Mapping[str, str]:
    """The tag in the common names, and under its own where the format has them; WAV keeps the common ones only (RIFF
    INFO), so all of it is in the comment too.
    """
    own = _told(tag)
    common = {
        "title": own["recording_id"], "artist": own["controller"], "album": own["campaign"],
        "date": own["started_at"][:10], "comment": json.dumps(own, sort_keys=True, ensure_ascii=False),
    }  # fmt: skip
    return common | own


def _told(tag: RecordingTag) -> dict[str, str]:
    plain = {each.name: str(getattr(tag, each.name)) for each in fields(tag)}
    try:
        basis = LegalBasis(tag.legal_basis)
    except ValueError:
        # the journal has the basis that it was recorded on
        raise RecordingDelayed(
            f"somebody has changed its legal basis: ccari calls show {tag.call_id}"
        ) from None
    return plain | {
        "legal_basis_iri": basis.iri,
        "started_at": tag.started_at.isoformat(timespec="milliseconds"),
        "delete_at": tag.delete_at.isoformat(timespec="seconds"),
    }
