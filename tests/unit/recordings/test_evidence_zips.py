"""A pack that was damaged on its way, or built so that others find something else in it, is refused in plain words."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccari.errors import EvidenceError
from ccari.recordings.evidence import pack
from ccari.recordings.evidence.pack import VCON
from ccari.recordings.evidence.unzipping import unzipped
from tests.unit.recordings import accounts
from tests.unit.recordings.packing import checked, files_of, packed, zipped

WHOLE = packed(accounts.request())
FILES, VERDICT = files_of(WHOLE), checked(WHOLE)
#: Where the content of the first file begins, behind its header and name.
DATA = 30 + len(VCON)


def damaged() -> Iterator[bytes]:
    """The pack with a bit flipped, in each of its bytes in turn; without its end; without its beginning; and with a
    hole.
    """
    for place in range(len(WHOLE)):
        turned = bytearray(WHOLE)
        turned[place] ^= 1 << place % 8
        yield bytes(turned)
    for place in range(0, len(WHOLE), 64):
        yield WHOLE[:place]
        yield WHOLE[place + 1 :]
        yield WHOLE[:place] + bytes(64) + WHOLE[place + 64 :]


def test_a_damaged_pack_ends_in_a_traceback_or_in_another_verdict() -> None:
    refused = 0
    for content in damaged():
        try:
            verdict = checked(content)
        except EvidenceError:
            refused += 1
        else:
            # what was hit is not content: a date, for example, or a bit that is not read
            assert (verdict, files_of(content)) == (VERDICT, FILES)
    assert refused > len(WHOLE) * 0.8


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_pack_that_is_compressed_otherwise_ends_in_a_traceback(method: int) -> None:
    """LZMA's own properties are read first, and say how much memory it wants."""
    changed = bytearray(zipped(FILES, method))
    changed[DATA + 4 : DATA + 9] = b"\xff" * 5
    with pytest.raises(EvidenceError) as fault:
        checked(bytes(changed))
    assert str(fault.value) == "vcon.json is compressed by a method that packs do not use"


@example({"README.txt": b"", "long": bytes(2**20), "ż": bytes(range(256)) * 2**10})
@given(
    st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.binary())
)
def test_what_was_packed_is_refused_or_comes_out_as_something_else(files: dict[str, bytes]) -> None:
    assert list(unzipped(pack._zipped(files)).items()) == list(files.items())


def with_a_hidden_file(place: int) -> bytes:
    """Behind that many others lies one that the directory does not name."""
    into, files = io.BytesIO(), list(FILES.items())
    files.insert(place, ("forged.txt", b"forged"))
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files:
            written.writestr(name, content)
        written.infolist().pop(place)
    return into.getvalue()


def with_another_directory(change: Callable[[zipfile.ZipFile], None]) -> bytes:
    """The files lie as before."""
    into = io.BytesIO(WHOLE)
    with zipfile.ZipFile(into, "a") as written:
        # for the directory to be written again
        written.comment = b""
        change(written)
    return into.getvalue()


def with_a_longer_file() -> bytes:
    """Both headers give the length and the CRC of what is signed, and the inflated data goes on behind it."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in FILES.items():
            written.writestr(name, content + (b"forged" if name == "README.txt" else b""))
            entry = written.infolist()[-1]
            entry.file_size, entry.CRC = len(content), zlib.crc32(content)
            into.seek(entry.header_offset)
            into.write(entry.FileHeader())
    return into.getvalue()


def with_another_header(offset: int) -> bytes:
    """The header of the first file is another; it is read by those who go from file to file."""
    changed = bytearray(WHOLE)
    changed[offset] ^= 1
    return bytes(changed)


def with_fields_of_others() -> bytes:
    """Fields such as the one by which some readers call a file by another name."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in FILES.items():
            (entry := zipfile.ZipInfo(name)).extra = b"\x99\x99\x01\x00x"
            written.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return into.getvalue()


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation


def streamed() -> bytes:
    """The lengths stand behind each file, and its header does not give them."""
    into = Pipe()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in FILES.items():
            written.writestr(name, content)
    return into.getvalue()


def counting(number: int) -> bytes:
    """The directory gives another number of files, by which some readers go."""
    return WHOLE[:-12] + number.to_bytes(2, "little") + WHOLE[-10:]


def with_two_ends() -> bytes:
    """The end record of ZIP64, which some readers look for first, could belong to another directory."""
    count, size, begins = struct.unpack("<10xH2L2x", WHOLE[-22:])
    ends = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, begins)
    return WHOLE[:-22] + ends + struct.pack("<4sLQL", b"PK\6\7", 0, begins + size, 1) + WHOLE[-22:]


NOT_FIRST = "the ZIP does not begin with vcon.json, the first file in its directory"
NOT_NEXT = "seals.json does not start where journal.json ends in the ZIP"
OTHER_HEADER = "vcon.json has a header that differs from the directory of the ZIP"
NOT_ALL = "the ZIP contains something besides its directory after the last file"


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (lambda: with_a_hidden_file(0), NOT_FIRST),
        (lambda: zipped({**FILES, "README.txt": b"forged"}) + WHOLE, NOT_FIRST),
        (lambda: b"#!/bin/sh\n" + WHOLE, NOT_FIRST),
        (lambda: with_a_hidden_file(2), NOT_NEXT),
        (lambda: with_a_hidden_file(len(FILES)), NOT_ALL),
        (lambda: WHOLE + b"forged", NOT_ALL),
        (lambda: with_another_directory(lambda written: setattr(written, "comment", b"forged")), NOT_ALL),
        (lambda: with_another_directory(lambda written: setattr(written.infolist()[1], "comment", b"forged")), NOT_ALL),
        (lambda: with_another_directory(lambda written: setattr(written.infolist()[1], "external_attr", 0o120777 << 16)), NOT_ALL),
        (lambda: with_another_directory(lambda written: written.infolist().reverse()),
         "the ZIP does not begin with README.txt, the first file in its directory"),
        (lambda: counting(1), NOT_ALL),
        (with_two_ends, NOT_ALL),
        (lambda: with_another_header(10), OTHER_HEADER),
        (lambda: with_another_header(18), OTHER_HEADER),
        (with_a_longer_file, "README.txt is longer than the directory of the ZIP says"),
        (with_fields_of_others, "vcon.json has ZIP flags or extra fields that packs do not use"),
        (streamed, "vcon.json has ZIP flags or extra fields that packs do not use"),
    ],
    ids=["hidden first", "ZIP before it", "script before it", "hidden between", "hidden last", "trailing", "comment", "file's comment", "link",
         "reversed", "miscounted", "two ends", "other date", "other length", "longer", "other fields", "streamed"],
)  # fmt: skip
def test_a_pack_in_which_other_readers_find_something_else_fits(
    made: Callable[[], bytes], fault: str
) -> None:
    """Some readers go by the directory at the end, some from one file to the next."""
    content = made()
    assert files_of(content) == FILES
    with pytest.raises(EvidenceError) as found:
        checked(content)
    assert str(found.value) == fault
