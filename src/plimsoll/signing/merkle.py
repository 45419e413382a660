"""Merkle trees as RFC 9162 hashes them: roots, and proofs that an entry is in a log and that a log only grew. Pure.

A proof is a list of digests. Whoever has two tree heads needs nothing else of the log to verify one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256().digest()
"""The root of a tree without entries."""


def leaf_hash(entry: bytes) -> bytes:
    """The digest of an entry; its prefix differs from that of a node, so that neither can stand for the other."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The digest of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees of a growing tree, largest first: all that adding an entry needs."""

    def __init__(self, size: int = 0, roots: Iterable[bytes] = ()) -> None:
        self.size = size
        self.roots = list(roots)

    def add(self, leaf: bytes) -> None:
        """Add the digest of an entry."""
        size = self.size
        while size & 1:
            leaf = node_hash(self.roots.pop(), leaf)
            size >>= 1
        self.roots.append(leaf)
        self.size += 1

    def is_whole(self) -> bool:
        """Whether there are as many roots as a tree of this size has."""
        return self.size >= 0 and len(self.roots) == self.size.bit_count()

    def root(self) -> bytes:
        """The root of the tree."""
        if not self.roots:
            return EMPTY
        found = self.roots[-1]
        for each in reversed(self.roots[:-1]):
            found = node_hash(each, found)
        return found


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """The root over the digests of entries."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The proof that the entry at an index is in the tree of all leaves."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"there is no entry {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    middle = _middle(len(leaves))
    if index < middle:
        return [*inclusion_proof(leaves[:middle], index), tree_root(leaves[middle:])]
    return [*inclusion_proof(leaves[middle:], index - middle), tree_root(leaves[:middle])]


def is_included(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that a leaf is the entry at an index of the tree with this size and root."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(each, found)
            at, last = _past_right_edge(at, last)
        else:
            found = node_hash(found, each)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree of the first entries is the beginning of the tree of all leaves."""
    if not 0 <= first <= len(leaves):
        raise ValueError(f"a tree of {len(leaves)} has no beginning of {first}")
    return [] if first in (0, len(leaves)) else _subproof(leaves, first, whole=True)


def _subproof(leaves: Sequence[bytes], first: int, *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [tree_root(leaves)]
    middle = _middle(len(leaves))
    if first <= middle:
        return [*_subproof(leaves[:middle], first, whole=whole), tree_root(leaves[middle:])]
    return [*_subproof(leaves[middle:], first - middle, whole=False), tree_root(leaves[:middle])]


def is_consistent(first: int, second: int, roots: tuple[bytes, bytes], proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree of `second` entries begins with that of `first`, given the roots of both."""
    first_root, second_root = roots
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            before, after = node_hash(each, before), node_hash(each, after)
            at, last = _past_right_edge(at, last)
        else:
            after = node_hash(after, each)
        at, last = at >> 1, last >> 1
    return last == 0 and before == first_root and after == second_root


def _past_right_edge(at: int, last: int) -> tuple[int, int]:
    """Up to the level at which the node is a right child: on the right edge, levels without a sibling are left out."""
    while not at & 1 and at:
        at, last = at >> 1, last >> 1
    return at, last


def _middle(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1
