"""The tree of RFC 9162, against its own words and an independent calculation."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccari.policy import merkle

LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=70)
#: The eight leaves with which Certificate Transparency's reference implementation is tested.
CT_LEAVES = [
    bytes.fromhex(each)
    for each in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def H(*parts: bytes) -> bytes:  # noqa: N802 - as the RFC writes it
    return hashlib.sha256(b"".join(parts)).digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_another_than_certificate_transparencys(size: int) -> None:
    assert merkle.root(CT_LEAVES[:size]).hex() == CT_ROOTS[size - 1]


def test_no_leaves_have_another_root_than_the_rfc_says() -> None:
    assert merkle.root([]) == H()


def test_the_proofs_are_others_than_in_the_rfcs_example() -> None:
    """Section 2.1.5: the binary tree of seven leaves, and its audit paths."""
    d = [bytes([n]) for n in range(7)]
    a, b, c, dd, e, f, j = (H(b"\x00", each) for each in d)
    g, h, i = H(b"\x01", a, b), H(b"\x01", c, dd), H(b"\x01", e, f)
    k, left = H(b"\x01", g, h), H(b"\x01", i, j)
    assert merkle.root(d) == H(b"\x01", k, left)
    assert merkle.inclusion(d, 0) == [b, h, left]
    assert merkle.inclusion(d, 3) == [c, g, left]
    assert merkle.inclusion(d, 4) == [f, j, k]
    assert merkle.inclusion(d, 6) == [i, k]


@given(LEAVES, st.data())
def test_a_leaf_that_is_there_is_not_proven(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = merkle.inclusion(leaves, index), merkle.root(leaves)
    assert merkle.is_included(leaves[index], index, len(leaves), proof, root)


@given(LEAVES, st.data())
def test_something_else_passes_for_what_is_proven(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root, size = merkle.inclusion(leaves, index), merkle.root(leaves), len(leaves)
    leaf = leaves[index]
    assert not merkle.is_included(leaf + b"x", index, size, proof, root)
    assert not merkle.is_included(leaf, index, size, proof, H(root))
    assert not merkle.is_included(leaf, index, size, [*proof, bytes(32)], root)
    for place in range(len(proof)):
        assert not merkle.is_included(leaf, index, size, proof[:place] + proof[place + 1 :], root)
        changed = [*proof[:place], H(proof[place]), *proof[place + 1 :]]
        assert not merkle.is_included(leaf, index, size, changed, root)
    for other in {index - 1, index + 1, size, -1} - {index}:
        if not 0 <= other < size or leaves[other] != leaf:
            assert not merkle.is_included(leaf, other, size, proof, root)


@given(LEAVES, st.data())
def test_an_inner_node_passes_for_a_leaf(leaves: list[bytes], data: st.DataObject) -> None:
    """Without the two prefixes, the concatenation of two hashes would be a leaf of a smaller tree."""
    if len(leaves) < 2:
        return
    two = leaves[:2]
    node = merkle.leaf_hash(two[0]) + merkle.leaf_hash(two[1])
    assert merkle.root([node]) != merkle.root(two)


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True), st.data())
def test_two_leaves_that_change_places_leave_the_root_as_it_is(
    leaves: list[bytes], data: st.DataObject
) -> None:
    one = data.draw(st.integers(0, len(leaves) - 2))
    moved = [*leaves[:one], leaves[one + 1], leaves[one], *leaves[one + 2 :]]
    assert merkle.root(moved) != merkle.root(leaves)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_that_is_not_there_is_proven(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion([b"a", b"b", b"c"], index)
