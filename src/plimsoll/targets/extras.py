"""Which extras of plimsoll are installed on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

MODULES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "serve": ("onnxruntime", "numpy", "uvloop", "httptools", "prometheus_client"),
        "parquet": ("pyarrow",),
        "drift": ("numpy", "scipy", "river"),
        "otel": ("opentelemetry",),
        "explain": ("numpy", "onnx"),
        "shap": ("shap",),
        "jwt": ("jwt",),
        "retrieval": ("onnxruntime", "numpy", "usearch", "tokenizers", "markdown_it", "lxml", "pypdf"),
        "pgvector": ("psycopg", "pgvector"),
        "qdrant": ("qdrant_client",),
        "weaviate": ("grpc", "google.protobuf"),
        "milvus": ("pymilvus",),
        "llms": ("xllamacpp",),
        "rego": ("regopy",),
        "s3": ("fsspec", "s3fs"),
        "gcs": ("fsspec", "gcsfs"),
    }
)
"""The modules that an extra brings, of those extras that steps need. They are looked for and not imported."""


@cache
def missing_extras() -> frozenset[str]:
    """The extras of which a module is not there."""
    return frozenset(extra for extra, modules in MODULES.items() if any(find_spec(name) is None for name in modules))
