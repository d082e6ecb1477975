"""Reads the files of a pack, and refuses a ZIP that another program could read differently: every byte is accounted for.

Some programs follow the directory at the end of a ZIP, others read file by file; data that one skips, the other would see.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from ccari.errors import EvidenceError

#: The most bytes, far more than any pack has: a few packed bytes of zeroes must not fill the verifier's memory.
MOST_BYTES = 256 * 2**20
#: What the library raises for a ZIP with a flipped bit. Not all of these are documented.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, ValueError, OverflowError)
#: The one flag that a file of a pack may have: its name is in UTF-8.
_UTF8_NAME = 0x800
#: The attributes that zipfile gives to every file. With others, a program could take the file for a folder or a link.
_PLAIN_FILE = 0o600 << 16


def unzipped(content: bytes) -> dict[str, bytes]:
    """The content of each file, by name, in the order of the ZIP.

    Raises
    ------
    EvidenceError
        If the ZIP is not exactly as ccari writes packs, saying why.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = packed.infolist()
        if len(entries) != len({each.filename for each in entries}):
            raise EvidenceError("the pack contains a file twice")
        if max(len(content), sum(each.file_size for each in entries)) > MOST_BYTES:
            raise EvidenceError("it is larger than a pack can be")
        return dict(_files(content, entries))
    except _DAMAGED:
        raise EvidenceError("it is not a ZIP file, or it is damaged") from None


def _files(content: bytes, entries: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    """Each name and content. After the last file there must be exactly the directory of those files, and nothing else."""
    position, previous, directory = 0, "", []
    for entry in entries:
        header = entry.FileHeader()
        start, end = position + len(header), position + len(header) + entry.compress_size
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            # other methods raise other errors, and LZMA may demand any amount of memory
            raise EvidenceError(f"{entry.filename} is compressed by a method that packs do not use")
        if entry.flag_bits & ~_UTF8_NAME or entry.extra:
            raise EvidenceError(f"{entry.filename} has ZIP flags or extra fields that packs do not use")
        if entry.header_offset != position:
            raise EvidenceError(
                f"{entry.filename} does not start where {previous} ends in the ZIP"
                if position
                else f"the ZIP does not begin with {entry.filename}, the first file in its directory"
            )
        if content[position:start] != header:
            raise EvidenceError(f"{entry.filename} has a header that differs from the directory of the ZIP")
        yield entry.filename, _inflated(entry, content[start:end])
        directory.append(_directory_entry(entry, header))
        position, previous = end, entry.filename
    entries_bytes = b"".join(directory)
    end_record = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, len(directory), len(directory), len(entries_bytes), position, 0
    )
    if content[position:] != entries_bytes + end_record:
        raise EvidenceError("the ZIP contains something besides its directory after the last file")


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
