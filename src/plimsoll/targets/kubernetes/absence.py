"""Whether a cluster answers at this moment."""

from __future__ import annotations

from plimsoll.kubernetes.api import Api, ApiError

_ABSENT = frozenset({0, 502, 503, 504})
"""Statuses of an API server that gives no answer, or that what stands before it cannot reach."""


def absence(api: Api) -> str:
    """Why the API server does not answer, in words; empty when it does. It is asked once."""
    try:
        api.hasty().request("GET", "/version")
    except ApiError as error:
        return error.message if error.status in _ABSENT else ""
    return ""
