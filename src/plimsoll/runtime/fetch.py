"""`python -m plimsoll.runtime.fetch`: download data through the node's cache to the path that a worker expects.

    python -m plimsoll.runtime.fetch s3://bucket/train.parquet --sha256 … --cache /cache --output /data/train.parquet
    python -m plimsoll.runtime.fetch s3://bucket/images/ --cache /cache --output /data/images

A URL that ends with `/` is a folder. On success it prints one line of JSON (path, sha256, size, and fetched, the number
of downloaded bytes) and exits 0; else it prints a one-line reason and exits 1. The store's library reads its variables:
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
    """Fetch the data; exit 1 with a one-line reason on failure."""
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
            raise FileError("--sha256 does not work with a folder", where=arguments.url)
        entries = cache.fetch_tree(arguments.url, arguments.output)
        sums = {"size": sum(entry.size for entry in entries), "fetched": sum(entry.fetched for entry in entries)}
        return {"path": str(arguments.output), "files": len(entries), **sums}
    entry = cache.fetch(arguments.url, arguments.output, arguments.sha256)
    return {"path": str(entry.path), "sha256": entry.sha256, "size": entry.size, "fetched": entry.fetched}


def _limit(text: str) -> int | None:
    try:
        return memory_in_bytes(msgspec.convert(text, Memory)) if text else None
    except msgspec.ValidationError:
        raise FileError(f"--limit '{text}' is not an amount of memory", hint="use for example 500Mi or 100Gi") from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.fetch", description="Download data through a node's cache."
    )
    parser.add_argument("url", help="a path or a URL: https://, s3://, gs://, file://; a trailing / means a folder")
    parser.add_argument("--cache", type=Path, required=True, help="the node's cache directory, shared by all workers")
    parser.add_argument("--output", type=Path, required=True, help="the path for the data")
    parser.add_argument("--sha256", default="", help="digest in hex; content that the node has is not downloaded")
    parser.add_argument("--limit", default="", help="size limit of the cache, such as 100Gi; no limit by default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
