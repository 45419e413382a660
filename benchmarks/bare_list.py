"""The bare paginated list of all nodes and pods of a context: what an inventory cannot be quicker than."""

from __future__ import annotations

import sys

from plimsoll.targets.kubernetes.api import Api


def main(context: str) -> None:
    """Ask for page after page and look at nothing but where the next one begins."""
    import msgspec

    class Metadata(msgspec.Struct, rename={"following": "continue"}):
        following: str = ""

    class Page(msgspec.Struct):
        metadata: Metadata

    decoder = msgspec.json.Decoder(Page)
    api = Api(context)
    for kind in ("nodes", "pods"):
        following = ""
        while True:
            parameters = {"limit": "500", **({"continue": following} if following else {})}
            text = api.request("GET", f"/api/v1/{kind}", parameters=parameters, raw=True)
            following = decoder.decode(text.encode() if isinstance(text, str) else text).metadata.following
            if not following:
                break


if __name__ == "__main__":
    main(sys.argv[1])
