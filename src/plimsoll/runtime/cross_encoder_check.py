"""`python -m plimsoll.runtime.cross_encoder_check MODEL`: whether a model can put passages in order.

It has a process of its own, as what loads models is heavy, and a model may end its process.
"""

from __future__ import annotations

import sys
from pathlib import Path

from plimsoll.errors import MissingExtra, PlimsollError


def main() -> None:
    """Load the model and have it read one pair; exit 1 with a one-line reason when that fails."""
    try:
        try:
            from plimsoll.indexes.reranker import Reranker
        except ImportError:
            raise MissingExtra("retrieval", "an index with `rerank`") from None
        Reranker(Path(sys.argv[1]), threads=1)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
