"""Files as a failing disk, or somebody, leaves them."""


def with_a_bit_changed(content: bytes, place: int = -1) -> bytes:
    """Content that certainly differs: in encrypted data or speech, overwriting a byte may write the same value."""
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)
