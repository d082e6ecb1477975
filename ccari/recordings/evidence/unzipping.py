"""The files of a pack, from a ZIP in which no other reader finds anything else: all of it is accounted for.

Some readers go by the directory at its end, some from one file to the next, and what lies beside either is seen by others.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from ccari.errors import EvidenceError

#: Much more than any pack has: who packs zeroes must not fill the memory of who checks.
MOST_BYTES = 256 * 2**20
#: What is raised of a ZIP in which a bit has turned; that it is ValueError, say, is documented nowhere.
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, ValueError, OverflowError)
#: The one flag that a pack's files may have: their name is not ASCII.
_UTF8_NAME = 0x800
#: What zipfile says of each: some readers take a file for a folder or a link if this says so.
_PLAIN_FILE = 0o600 << 16


def unzipped(content: bytes) -> dict[str, bytes]:
    """By name, as they lie there.

    Raises
    ------
    EvidenceError
        If it is no ZIP such as packs are, saying why.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = packed.infolist()
        if len(entries) != len({each.filename for each in entries}):
            raise EvidenceError("a file is twice in the pack")
        if max(len(content), sum(each.file_size for each in entries)) > MOST_BYTES:
            raise EvidenceError("it is larger than any pack is")
        return dict(_files(content, entries))
    except _DAMAGED:
        raise EvidenceError("it is no ZIP file, or a damaged one") from None


def _files(content: bytes, entries: Iterable[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    """Each with its content. The directory is made again of what lies before it, and must be all that is left."""
    at, before, directory = 0, "", []
    for each in entries:
        header = each.FileHeader()
        start, end = at + len(header), at + len(header) + each.compress_size
        if each.compress_type != zipfile.ZIP_DEFLATED:
            # each method has errors of its own, and LZMA may ask for any amount of memory
            raise EvidenceError(f"{each.filename} is compressed in another way than packs are")
        if each.flag_bits & ~_UTF8_NAME or each.extra:
            raise EvidenceError(f"{each.filename} is written into the ZIP in another way than packs are")
        if each.header_offset != at:
            raise EvidenceError(
                f"{each.filename} does not lie where {before} ends in the ZIP"
                if at
                else f"the ZIP does not begin with {each.filename}, the first file of its directory"
            )
        if content[at:start] != header:
            raise EvidenceError(f"{each.filename} has another header in the ZIP than its directory says")
        yield each.filename, _inflated(each, content[start:end])
        directory.append(_line(each, header))
        at, before = end, each.filename
    lines = b"".join(directory)
    end_of_all = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(directory), len(directory), len(lines), at, 0)
    if content[at:] != lines + end_of_all:
        raise EvidenceError("there is something in the ZIP behind its last file, beside its directory")


def _line(entry: zipfile.ZipInfo, header: bytes) -> bytes:
    """Of the directory: the file's own header in the midst of what that does not have."""
    made_by = bytes((entry.create_version, entry.create_system))
    more = struct.pack("<3H2L", 0, 0, 0, _PLAIN_FILE, entry.header_offset)
    return b"PK\1\2" + made_by + header[4:30] + more + header[30:]


def _inflated(entry: zipfile.ZipInfo, packed: bytes) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    # a byte more than there should be: zipfile stops there, and others go on
    plain = inflating.decompress(packed, entry.file_size + 1)
    if len(plain) > entry.file_size or inflating.unused_data:
        raise EvidenceError(f"{entry.filename} goes on in the ZIP where its directory says that it ends")
    if not inflating.eof or (len(plain), zlib.crc32(plain)) != (entry.file_size, entry.CRC):
        raise EvidenceError(f"{entry.filename} is damaged")
    return plain
