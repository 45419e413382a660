"""A search as the data plane carries it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from plimsoll.runtime.server.request import InferenceRequest

TOP = 5
"""Passages of an answer when the caller does not say."""
LONGEST_QUERY = 32_768
"""Characters. No model reads as many; splitting a longer text into words only delays others."""
QUERY, HITS = "query", "hits"
"""The input, which is one text, and the output: a JSON object for each passage."""


class SearchRequest(InferenceRequest, kw_only=True, gc=False):
    """A search with the labels that its caller holds, as an authenticated caller has given them.

    Requests of other fronts are no such requests: they see what everybody may see.
    """

    top: int = TOP
    mode: str | None = None
    labels: Sequence[str] = ()


def search_request(query: str, top: int, mode: str | None, labels: Sequence[str]) -> SearchRequest:
    """A request for one question."""
    texts = np.empty(1, dtype=np.object_)
    texts[0] = query
    return SearchRequest(inputs={QUERY: texts}, top=top, mode=mode, labels=labels)
