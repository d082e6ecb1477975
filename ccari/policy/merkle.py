"""The Merkle tree of RFC 9162, section 2.1, over SHA-256: one hash for many leaves, and the proof that one is among them.

Leaves and inner nodes are hashed with different prefixes (0x00, 0x01), so that a node cannot pass for a leaf.
"""

import hashlib
from collections.abc import Sequence

_LEAF, _NODE = b"\x00", b"\x01"


def root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle Tree Hash, section 2.1.1: 32 bytes. Without leaves it is the hash of the empty string."""
    return _root([leaf_hash(each) for each in leaves])


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that ``leaves[index]`` is in the tree, section 2.1.3.1: the sibling hashes on its way to the root, from below.

    Raises
    ------
    IndexError
        If there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    return _path([leaf_hash(each) for each in leaves], index)


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof leads from ``leaf``, at ``index`` of ``size`` leaves, to ``root``: section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            return False
        if place % 2 or place == last:
            node = _node(sibling, node)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            node = _node(node, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf: prefixed by 0x00, so that no inner node can pass for it."""
    return hashlib.sha256(_LEAF + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    half = _split(len(hashes))
    return _node(_root(hashes[:half]), _root(hashes[half:]))


def _path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    half = _split(len(hashes))
    if index < half:
        return [*_path(hashes[:half], index), _root(hashes[half:])]
    return [*_path(hashes[half:], index - half), _root(hashes[:half])]


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
