"""What can compute the answers of a language model. A new engine is a module here and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plimsoll.llms.engines import endpoint, llama_cpp, tgi, vllm
from plimsoll.llms.engines.engine import Engine

ENDPOINT = endpoint.ENGINE.name

ENGINES: Mapping[str, Engine] = MappingProxyType(
    {each.name: each for each in (llama_cpp.ENGINE, vllm.ENGINE, tgi.ENGINE, endpoint.ENGINE)}
)

SERVING: tuple[str, ...] = tuple(name for name in ENGINES if name != ENDPOINT)
"""Those that a file may name: an endpoint is named by its address."""
