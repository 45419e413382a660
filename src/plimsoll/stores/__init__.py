"""Vectors of indexes in databases of vectors: a port, what carries it out for each store, and what proves the vectors.

A store has numbers alone: the row of a chunk, its group, its vector. Texts, ids, labels and all else are in the signed
files of the index, and each vector that a store gives is held against a digest that is signed with them.
"""
