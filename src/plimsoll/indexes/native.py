"""The libraries of machine code, imported in the only order that works.

ONNX Runtime ends the process with a segmentation fault when it is imported after usearch (seen with 1.32 and 2.26).
"""

from __future__ import annotations

from plimsoll.errors import MissingExtra

try:
    import onnxruntime
    from usearch.index import Index
except ImportError:
    raise MissingExtra("retrieval", "an index with `embed`") from None

__all__ = ["Index", "onnxruntime"]
