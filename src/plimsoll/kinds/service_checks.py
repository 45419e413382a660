"""What is checked of a service in the file: that one thing answers, and the headers that lead to a version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.scalars import duration_in_seconds
from plimsoll.kinds.assistant import ASSISTANTS
from plimsoll.kinds.index import INDEXES
from plimsoll.kinds.llm import LLMS
from plimsoll.kinds.model import MODELS
from plimsoll.kinds.predictors import check_own
from plimsoll.kinds.service_settings import Explain, WeightedModel
from plimsoll.kinds.tables import check_table

if TYPE_CHECKING:
    from plimsoll.kinds.service import Service

MOST_HEADERS = 16
"""Headers that one rule of an HTTPRoute matches. Source: Gateway API v1."""
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}")
HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,4094}[!-~])?")
MOST_VERSIONS = 16
"""What one rule of an HTTPRoute leads to. Source: Gateway API v1."""
NOT_OF_LLMS = ("index", "model", "run", "pipeline", "code", "inputs", "outputs", "latency", "drift", "sample")
"""Words of a service that say nothing of a language model."""
NOT_OF_ASSISTANTS = ("llm", *NOT_OF_LLMS)
"""Words of a service that say nothing of an assistant, which names its index and its language model itself."""
NOT_OF_INDEXES = ("model", "run", "pipeline", "drift", "sample", "code", "inputs", "outputs")


def check_what_answers(file: ApplicationFile, service: Service, *at: str | int) -> None:
    """Raise FileError unless the service says in one way what answers."""
    if service.assistant is not None:
        ASSISTANTS.check_reference(file, service.assistant, *at, "assistant")
        _refuse(file, service, NOT_OF_ASSISTANTS, "of an assistant", *at)
        _check_scale(file, service, ASSISTANTS.of(file.application)[service.assistant].llm, *at)
    elif service.llm is not None:
        LLMS.check_reference(file, service.llm, *at, "llm")
        _refuse(file, service, NOT_OF_LLMS, "of a language model", *at)
        _check_scale(file, service, service.llm, *at)
    elif service.index is not None:
        INDEXES.check_reference(file, service.index, *at, "index")
        _refuse(file, service, NOT_OF_INDEXES, "of an index", *at)
    elif service.model is None and service.run is None and not service.pipeline:
        hint = "add `model`, `run`, `pipeline`, `index`, `llm` or `assistant`"
        raise file.error("the service has nothing that answers", hint, *at)
    _check_code(file, service, *at)


def _refuse(file: ApplicationFile, service: Service, words: Iterable[str], what: str, *at: str | int) -> None:
    """Raise FileError for a setting that says nothing of such a service."""
    for word in words:
        if getattr(service, word):
            text = f"`{word}` is not for a service {what}"
            raise file.error(text, "remove it, or make it a service of its own", *at, word, at_key=True)


def check_explain(file: ApplicationFile, service: Service, explain: Explain, *at: str | int) -> None:
    """Raise FileError for explanations of what is no ONNX model, a background that is no table, and no time at all."""
    for word in ("llm", "assistant", "index", "run", "pipeline"):
        if getattr(service, word):
            text = f"`explain` is for a service of a model, and this one has `{word}`"
            raise file.error(text, "remove it, or serve the model by a service of its own", *at, "explain", at_key=True)
    check_table(file, explain.background, "explanations compare with", *at, "explain", "background")
    if duration_in_seconds(explain.budget.time) <= 0:
        raise file.error("no explanation takes no time", "write a time such as 10s", *at, "explain", "budget", "time")


def _check_scale(file: ApplicationFile, service: Service, llm: str, *at: str | int) -> None:
    if service.scale is not None:
        LLMS.check_scale(file, llm, *at)


def _check_code(file: ApplicationFile, service: Service, *at: str | int) -> None:
    for word in ("model", "run"):
        if service.pipeline and getattr(service, word) is not None:
            raise file.error(f"a pipeline has no `{word}` beside it", "make it a step of the pipeline", *at, word)
    for word in ("code", "inputs", "outputs"):
        if service.run is None and getattr(service, word):
            raise file.error(f"`{word}` is for the command in `run`, which is missing", "add `run`", *at, word)
    if service.own is not None:
        check_own(file, service.own, *at)
    for number, step in enumerate(service.pipeline):
        if isinstance(step, str):
            MODELS.check_reference(file, step, *at, "pipeline", number)
        else:
            check_own(file, step, *at, "pipeline", number)


def check_headers(file: ApplicationFile, headers: Mapping[str, str], *at: str | int) -> None:
    """Raise FileError for a header that no request can have, or that no gateway matches."""
    if len(headers) > MOST_HEADERS:
        text = f"{len(headers)} headers lead to one version; a gateway's route matches {MOST_HEADERS}"
        raise file.error(text, "name fewer headers", *at)
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            hint = "letters, digits and !#$%&'*+-.^_`|~, 256 at most"
            raise file.error(f"'{name}' is no name of a header", hint, *at, name, at_key=True)
        if not HEADER_VALUE.fullmatch(value):
            hint = "1 to 4096 printable characters, no blank first or last"
            raise file.error(f"no request can have this value of the header {name}", hint, *at, name)
    lowered = [name.lower() for name in headers]
    for name in headers:
        if lowered.count(name.lower()) > 1:
            hint = "names of headers are the same in small and capital letters: keep one"
            raise file.error(f"the header '{name}' is named twice", hint, *at, name, at_key=True)


def check_shares(file: ApplicationFile, shares: tuple[WeightedModel, ...], *at: str | int) -> None:
    """Raise FileError unless the shares are of one model's versions, each once, and sum to 100."""
    for number, share in enumerate(shares):
        MODELS.check_reference(file, share.model, *at, number, "model")
        check_headers(file, share.headers, *at, number, "headers")
    if len(shares) > MOST_VERSIONS:
        text = f"{len(shares)} versions share the traffic; a gateway's route takes {MOST_VERSIONS}"
        raise file.error(text, "keep fewer versions", *at)
    total = sum(share.weight for share in shares)
    if total != 100:
        hint = "weights are percentages of the traffic and must sum to 100"
        raise file.error(f"the weights sum to {total}", hint, *at)
    first = shares[0].model.partition("@")[0]
    for number, share in enumerate(shares):
        if share.model.partition("@")[0] != first:
            hint = f"a service serves one model: add another service, or name a version of {first}"
            raise file.error(f"'{share.model}' is not a version of '{first}'", hint, *at, number, "model")
        if share.model in [other.model for other in shares[:number]]:
            raise file.error(f"'{share.model}' is named twice", "keep one of its shares", *at, number, "model")
