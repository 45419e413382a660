"""The bare paginated list of all nodes and pods of a context: what an inventory cannot be quicker than."""

from __future__ import annotations

import sys

import msgspec

from plimsoll.kubernetes.api import Api, PageMetadata


class Page(msgspec.Struct):
    metadata: PageMetadata


def main(context: str) -> None:
    """Ask for page after page and look at nothing but where the next one begins."""
    api = Api(context)
    for kind in ("nodes", "pods"):
        following = ""
        while True:
            parameters = {"limit": "500", **({"continue": following} if following else {})}
            following = api.request("GET", f"/api/v1/{kind}", parameters=parameters, shape=Page).metadata.following
            if not following:
                break


if __name__ == "__main__":
    main(sys.argv[1])
