"""Reads the files of a pack, or of a dossier, and refuses a ZIP that another program could read differently: every byte is accounted for.

Some programs follow the directory at the end of a ZIP, others read file by file; data that one skips, the other would see.
"""

import contextlib
import errno
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from ccari.errors import EvidenceError

#: The most bytes, far more than any pack has: a few packed bytes of zeroes must not fill the verifier's memory.
MOST_BYTES = 256 * 2**20
#: The most files in a ZIP without ZIP64.
MOST_ENTRIES = 65535
#: What the library raises for a ZIP with a flipped bit. Not all of these are documented.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, ValueError, OverflowError)
#: The one flag that a file of a pack may have: its name is in UTF-8.
_UTF8_NAME = 0x800
#: The attributes that zipfile gives to every file. With others, a program could take the file for a folder or a link.
_PLAIN_FILE = 0o600 << 16


def unzipped(content: bytes) -> dict[str, bytes]:
    """The content of each file of a pack, by name, in the order of the ZIP. Raises EvidenceError like :func:`contents`."""
    if len(content) > MOST_BYTES:
        raise EvidenceError("it is larger than a pack can be")
    file = io.BytesIO(content)
    entries = listed(file)
    if len(entries) != len({each.filename for each in entries}):
        raise EvidenceError("the pack contains a file twice")
    if sum(each.file_size for each in entries) > MOST_BYTES:
        raise EvidenceError("it is larger than a pack can be")
    return dict(contents(file, entries))


def listed(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """What the directory of a ZIP says of each file; nothing of it is checked yet. Raises EvidenceError if it is no ZIP, and OSError."""
    with _named(), zipfile.ZipFile(file) as packed:
        entries = packed.infolist()
    if len(entries) > MOST_ENTRIES:
        raise EvidenceError(f"it has more than {MOST_ENTRIES:,} files")
    return entries


def contents(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    """Each name and content, one after the other, so that only one file is in memory. ``entries``: all of them, from :func:`listed`.

    Raises
    ------
    EvidenceError
        If the ZIP is not exactly as ccari writes it, saying why: after the last file there must be exactly the directory of those
        files, and nothing else.
    OSError
        If it cannot be read.
    """
    with _named():
        yield from _contents(file, entries)


def content_of(file: BinaryIO, entry: zipfile.ZipInfo, most: int = MOST_BYTES) -> bytes:
    """The content of one file of at most ``most`` bytes, wherever it lies in the ZIP. Raises like :func:`contents`."""
    if max(entry.file_size, entry.compress_size) > most:
        raise EvidenceError(f"{entry.filename} is larger than it can be")
    with _named():
        return _content_of(file, entry, entry.FileHeader())


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Raise EvidenceError for what the library raises about a damaged ZIP."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        # a directory that begins before the file does; of a file that is in memory, it is a ValueError
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise
        raise EvidenceError("it is not a ZIP file, or it is damaged") from None


def _contents(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    position, previous, directory = 0, "", []
    for entry in entries:
        header = entry.FileHeader()
        if entry.header_offset != position:
            raise EvidenceError(
                f"{entry.filename} does not start where {previous} ends in the ZIP"
                if position
                else f"the ZIP does not begin with {entry.filename}, the first file in its directory"
            )
        yield entry.filename, _content_of(file, entry, header)
        directory.append(_directory_entry(entry, header))
        position, previous = position + len(header) + entry.compress_size, entry.filename
    entries_bytes = b"".join(directory)
    end_record = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, len(directory), len(directory), len(entries_bytes), position, 0
    )
    expected = entries_bytes + end_record
    file.seek(position)
    if file.read(len(expected) + 1) != expected:
        raise EvidenceError("the ZIP contains something besides its directory after the last file")


def _content_of(file: BinaryIO, entry: zipfile.ZipInfo, header: bytes) -> bytes:
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        # other methods raise other errors, and LZMA may demand any amount of memory
        raise EvidenceError(f"{entry.filename} is compressed by a method that packs do not use")
    if entry.flag_bits & ~_UTF8_NAME or entry.extra:
        raise EvidenceError(f"{entry.filename} has ZIP flags or extra fields that packs do not use")
    if max(entry.file_size, entry.compress_size) > MOST_BYTES:
        raise EvidenceError(f"{entry.filename} is larger than a file of a pack or a dossier can be")
    file.seek(entry.header_offset)
    if file.read(len(header)) != header:
        raise EvidenceError(f"{entry.filename} has a header that differs from the directory of the ZIP")
    return _inflated(entry, file.read(entry.compress_size))


def _directory_entry(entry: zipfile.ZipInfo, header: bytes) -> bytes:
    """The entry of the central directory: the file's local header, enclosed in the fields that only the directory has."""
    made_by = bytes((entry.create_version, entry.create_system))
    more = struct.pack("<3H2L", 0, 0, 0, _PLAIN_FILE, entry.header_offset)
    return b"PK\1\2" + made_by + header[4:30] + more + header[30:]


def _inflated(entry: zipfile.ZipInfo, packed: bytes) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    # one byte more than expected: zipfile stops at the stated size, and other programs read on
    plain = inflating.decompress(packed, entry.file_size + 1)
    if len(plain) > entry.file_size or inflating.unused_data:
        raise EvidenceError(f"{entry.filename} is longer than the directory of the ZIP says")
    if not inflating.eof or (len(plain), zlib.crc32(plain)) != (entry.file_size, entry.CRC):
        raise EvidenceError(f"{entry.filename} is damaged")
    return plain
