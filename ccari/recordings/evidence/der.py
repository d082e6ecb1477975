"""Sorts the certificates of a time stamp for the library that reads it.

DER requires them sorted (X.690, 11.6), and rfc3161-client rejects any other order. CMS does not require DER there (RFC 5652, 5.1), and
authorities send them from the signer's to the root's, as OpenSSL does. They are not signed, so their order may change.
"""

from collections.abc import Iterator

_CERTIFICATES = 0xA0
_MANY_LENGTH_BYTES = 0x80


def with_sorted_certificates(response: bytes) -> bytes:
    """A TimeStampResp (RFC 3161, 2.4.2), otherwise unchanged byte for byte. Raises ValueError if it is not one."""
    (whole,) = _elements(response)
    status, *tokens = _elements(_content(whole))
    if not tokens:
        return response
    (token,) = tokens
    kind, tagged = _elements(_content(token))
    (signed,) = _elements(_content(tagged))
    parts = (
        _element(each[0], b"".join(sorted(_elements(_content(each))))) if each[0] == _CERTIFICATES else each
        for each in _elements(_content(signed))
    )
    signed = _element(signed[0], b"".join(parts))
    token = _element(token[0], kind + _element(tagged[0], signed))
    return _element(whole[0], status + token)


def _elements(content: bytes) -> Iterator[bytes]:
    """The elements, one after another, each with its tag and length."""
    position = 0
    while position < len(content):
        start, length = _extent(content, position)
        end = start + length
        if end > len(content):
            raise ValueError("an element is longer than what it is in")
        yield content[position:end]
        position = end


def _content(element: bytes) -> bytes:
    start, _ = _extent(element, 0)
    return element[start:]


def _extent(content: bytes, position: int) -> tuple[int, int]:
    """Where the content of the element at a position starts, and its length."""
    start = position + 2
    length = int.from_bytes(content[position + 1 : start])
    if length >= _MANY_LENGTH_BYTES:
        first, start = start, start + length - _MANY_LENGTH_BYTES
        length = int.from_bytes(content[first:start])
        if length < _MANY_LENGTH_BYTES:
            raise ValueError("a length is not in DER")
    return start, length


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < _MANY_LENGTH_BYTES:
        return bytes((tag, length)) + content
    many = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _MANY_LENGTH_BYTES + len(many))) + many + content
