"""Trees and proofs are those of RFC 9162; nothing that was changed, dropped or added has a proof."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.signing.merkle import (
    EMPTY,
    Frontier,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    tree_root,
)

# The entries and roots that the test vectors of certificate transparency use.
ENTRIES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = st.integers(1, 40)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def test_the_roots_are_those_of_certificate_transparency() -> None:
    found = [tree_root(leaf_hash(each) for each in ENTRIES[: size + 1]).hex() for size in range(len(ENTRIES))]

    assert found == ROOTS
    assert tree_root([]) == EMPTY == hashlib.sha256(b"").digest()


@given(size=SIZES)
def test_a_tree_that_grows_has_the_root_of_one_that_is_made_at_once(size: int) -> None:
    frontier = Frontier()
    for number, leaf in enumerate(leaves(size)):
        frontier.add(leaf)
        assert frontier.root() == tree_root(leaves(number + 1))
        assert frontier.is_whole()


@given(size=SIZES, data=st.data())
@settings(max_examples=60)
def test_an_entry_has_a_proof_at_its_own_place_alone(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = leaves(size)
    proof, root = inclusion_proof(tree, index), tree_root(tree)

    assert is_included(tree[index], index, size, root, proof)
    assert not is_included(leaf_hash(b"another"), index, size, root, proof)
    assert not any(is_included(tree[index], other, size, root, proof) for other in range(size) if other != index)
    assert not is_included(tree[index], index, size, root, [*proof, root])
    if proof:
        assert not is_included(tree[index], index, size, root, proof[:-1])


@given(size=SIZES, data=st.data())
@settings(max_examples=60)
def test_a_log_that_only_grew_has_a_proof_and_a_rewritten_one_has_none(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size))
    tree = leaves(size)
    roots = tree_root(tree[:first]), tree_root(tree)
    proof = consistency_proof(tree, first)

    assert is_consistent(first, size, roots, proof)
    assert not is_consistent(first, size, (leaf_hash(b"other"), roots[1]), proof)
    assert not is_consistent(first, size, (roots[0], leaf_hash(b"other")), proof) or first == 0
    if 0 < first < size:
        altered = data.draw(st.integers(0, len(proof) - 1))
        forged = [leaf_hash(b"x") if at == altered else each for at, each in enumerate(proof)]
        assert not is_consistent(first, size, roots, forged)
        assert not is_consistent(first, size, roots, proof[:-1])


def test_what_is_not_in_a_tree_has_no_proof() -> None:
    with pytest.raises(ValueError, match="there is no entry 3"):
        inclusion_proof(leaves(3), 3)
    with pytest.raises(ValueError, match="no beginning of 4"):
        consistency_proof(leaves(3), 4)
    assert not is_included(leaves(1)[0], 1, 1, tree_root(leaves(1)), [])
    assert not is_consistent(3, 2, (EMPTY, EMPTY), [])
