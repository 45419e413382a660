"""Language models in the file: one that is served here by an engine, or somebody else's behind an address."""

from __future__ import annotations

import re
import urllib.parse
from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.parts import Part
from plimsoll.application.scalars import Duration, ModelReference, duration_in_seconds

DEFAULT_ENGINE = "llama.cpp"
LARGEST_CONTEXT = 1 << 24
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")


class LlmLimits(Part, frozen=True, kw_only=True):
    """What one request may take, from its arrival to its last token, and how many may wait."""

    tokens: Annotated[int, Meta(ge=1, le=1 << 20, description="tokens of one answer at most")] = 1024
    time: Duration = "120s"
    queue: Annotated[int, Meta(ge=0, le=10_000, description="requests that may wait; more are refused with 429")] = 64

    @property
    def seconds(self) -> float:
        """`time` in seconds."""
        return duration_in_seconds(self.time)


class EndpointKey(Part, frozen=True, kw_only=True):
    """Where the key of an endpoint is; the key itself is never in the file."""

    env: Annotated[
        str,
        Meta(
            # What begins so is ours, and is not handed on to what runs for an application.
            pattern=r"^(?!PLIMSOLL_)[A-Za-z_][A-Za-z0-9_]{0,127}$",
            description="the name of the environment variable that has the key, not one that begins with PLIMSOLL_",
            examples=["LLM_KEY"],
        ),
    ]


class Endpoint(Part, frozen=True, kw_only=True):
    """Somebody else's service that speaks the OpenAI API."""

    url: Annotated[
        str,
        Meta(
            min_length=1,
            description="the address that the API's paths are below",
            examples=["https://llm.example/v1"],
        ),
    ]
    model: Annotated[str, Meta(min_length=1, description="what the model is called there")]
    key: EndpointKey | None = None

    @property
    def problem(self) -> str:
        """What is wrong with the address; empty when nothing is."""
        try:
            parts = urllib.parse.urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            return f"this is no address: {error}"
        if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
            return "this is no address of http:// or https://"
        if parts.username is not None or parts.password is not None:
            return "the address has credentials in it"
        return "the address has a query or a fragment" if parts.query or parts.fragment else ""


class Llm(Part, frozen=True, kw_only=True):
    """A language model: `model` is served by `engine`, or `endpoint` is asked."""

    model: (
        Annotated[
            ModelReference,
            Meta(description="the model to serve, brought or trained; where it comes from is said in spec.models"),
        ]
        | None
    ) = None
    engine: Annotated[str, Meta(description=f"what computes the answers; {DEFAULT_ENGINE} when left out")] | None = None
    context: (
        Annotated[
            int,
            Meta(ge=64, le=LARGEST_CONTEXT, description="tokens of one question and its answer together"),
        ]
        | None
    ) = None
    slots: Annotated[int, Meta(ge=1, le=4096, description="answers at once, of each replica")] | None = None
    replicas: (
        Annotated[int, Meta(ge=1, le=64, description="engines with the same model: processes here, pods on a cluster")]
        | None
    ) = None
    prefill: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=64,
                description="engines that only read questions, beside the replicas that write answers: on a cluster "
                "with llm-d's stack",
            ),
        ]
        | None
    ) = None
    routing: (
        Annotated[
            Literal["prefix", "load"],
            Meta(
                description="which of several replicas answers: prefix, the default, prefers one that has read the "
                "same beginning; load always takes the one with the least to do"
            ),
        ]
        | None
    ) = None
    adapter: Annotated[ModelReference, Meta(description="a LoRA adapter for all answers")] | None = None
    adapters: Annotated[
        tuple[ModelReference, ...],
        Meta(description="LoRA adapters that a request chooses by their name, as `model`"),
    ] = ()
    limits: LlmLimits = LlmLimits()
    endpoint: Endpoint | None = None

    @property
    def references(self) -> tuple[str, ...]:
        """The references of the model and its adapters."""
        return tuple(filter(None, (self.model, self.adapter, *self.adapters)))

    @property
    def models_of_code(self) -> frozenset[str]:
        """The names of models that may be of any format, as it is not ONNX Runtime that runs them."""
        return frozenset(each.partition("@")[0] for each in self.references)
