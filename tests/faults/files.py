"""Files as a failing disk or somebody leaves them."""


def with_a_bit_changed(content: bytes, place: int = -1) -> bytes:
    """Other content for certain: a byte that is written over may be the same one, in what is encrypted or spoken."""
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)
