"""An application's objects of several kinds, as far as the caller may list them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from plimsoll.kubernetes.access import Access
from plimsoll.kubernetes.api import Api, ApiError, Manifest


def listed(
    api: Api, kinds: Iterable[tuple[str, str]], namespace: str, selector: str
) -> Iterator[tuple[str, str, Manifest]]:
    """Objects with labels, each with its apiVersion and kind. Kinds that the cluster does not serve have none.

    A kind that the caller may neither list nor make has none of the caller's. Raises ApiError for one that they may
    make and not list: objects of theirs would be overlooked.
    """
    access = Access(api)
    for api_version, kind in kinds:
        if not api.serves(api_version, kind):
            continue
        try:
            found = api.list(api_version, kind, namespace, selector)
        except ApiError as error:
            if error.lacks is None or access.may(replace(error.lacks, verb="create")):
                raise
            continue
        for each in found:
            yield api_version, kind, each
