"""`python -m plimsoll.runtime.fetch`: data through the node's cache to where a worker expects it.

    python -m plimsoll.runtime.fetch s3://bucket/train.parquet --sha256 … --cache /cache --output /data/train.parquet
    python -m plimsoll.runtime.fetch s3://bucket/images/ --cache /cache --output /data/images

An address that ends with `/` is a folder. It prints one line of JSON (path, sha256, size, and fetched: bytes that came
from afar) and exits 0; or one line of reason, and exits 1. Credentials and endpoints are those of the store's library:
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from plimsoll.application.scalars import Memory, memory_in_bytes
from plimsoll.errors import FileError, PlimsollError
from plimsoll.runtime.cache import ContentCache


def main() -> None:
    """Fetch; exit 1 with one line of reason when it does not go."""
    arguments = _arguments()
    try:
        about = _fetch(ContentCache(arguments.cache, _limit(arguments.limit)), arguments)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    print(json.dumps(about), flush=True)


def _fetch(cache: ContentCache, arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.url.endswith("/"):
        if arguments.sha256:
            raise FileError("a folder has no sha256", where=arguments.url)
        entries = cache.fetch_tree(arguments.url, arguments.output)
        sums = {"size": sum(entry.size for entry in entries), "fetched": sum(entry.fetched for entry in entries)}
        return {"path": str(arguments.output), "files": len(entries), **sums}
    entry = cache.fetch(arguments.url, arguments.output, arguments.sha256)
    return {"path": str(entry.path), "sha256": entry.sha256, "size": entry.size, "fetched": entry.fetched}


def _limit(text: str) -> int | None:
    try:
        return memory_in_bytes(msgspec.convert(text, Memory)) if text else None
    except msgspec.ValidationError:
        raise FileError(f"--limit '{text}' is no amount", hint="such as 500Mi or 100Gi") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.fetch", description="Fetch data through a node's cache."
    )
    parser.add_argument(
        "url", help="a path, or an address: https://, s3://, gs://, file://; with / at its end a folder"
    )
    parser.add_argument("--cache", type=Path, required=True, help="the node's directory, shared by all who fetch")
    parser.add_argument("--output", type=Path, required=True, help="where the data is to be")
    parser.add_argument("--sha256", default="", help="in hex; nothing is asked of the network when the node has it")
    parser.add_argument("--limit", default="", help="of the cache, such as 100Gi; without it the cache only grows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
