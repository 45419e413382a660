"""Opens an assistant of an application: its index, its language model and its rules."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.language_models import Endpoint
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name
from plimsoll.application.targets import target_named
from plimsoll.assistants.answering import Assistant, Limits, Settings, Write, Written
from plimsoll.assistants.prompt import STOPS
from plimsoll.assistants.searching import passages_of
from plimsoll.engine.index_search import open_index
from plimsoll.engine.service_call import open_service
from plimsoll.kinds.assistant import ASSISTANTS
from plimsoll.kinds.assistant import Assistant as AssistantPart
from plimsoll.kinds.index import BuildIndex
from plimsoll.kinds.llm import DEFAULT_CONTEXT, LLMS
from plimsoll.kinds.service import SERVICES
from plimsoll.kinds.table import KINDS
from plimsoll.llms.client import ChatRequest, ChatService, ChatStream, Message
from plimsoll.runtime.client import TOKEN_HINT, encryption_of
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.features import CalledService
from plimsoll.targets.options import TargetOptions


class Opened(Struct, frozen=True, kw_only=True):
    """An assistant with its part of the file; `index` and `llm` say in words what it answers by.

    `index_key` is the key of the step that has built the index.
    """

    assistant: Assistant
    part: AssistantPart
    file: ApplicationFile
    index: str
    index_key: str
    llm: str


@contextlib.contextmanager
def open_assistant(
    path: Path, name: str, target: str = LOCAL, options: TargetOptions | None = None, token: str = ""
) -> Iterator[Opened]:
    """An assistant, valid inside the block. It searches here, and has the language model of a target write.

    `token` is sent to the service of the language model, where that one asks who calls.

    Raises FileError when the file has none of this name, and PlimsollError when its index is not built or its language
    model cannot be reached.
    """
    file = KINDS.load(path)
    KINDS.check(file, None)
    assistants = ASSISTANTS.of(file.application)
    if name not in assistants:
        hint = suggest_name(name, assistants) or "the file has no assistants"
        raise file.error(f"there is no assistant '{name}'", hint, "spec", *(("assistants",) if assistants else ()))
    part = assistants[name]
    index = open_index(path, part.index, target)
    llm = LLMS.of(file.application)[part.llm]
    settings = Settings(
        name=name,
        rules=ASSISTANTS.rules(file, name),
        refuse=part.refuse,
        limits=Limits(
            tokens=min(part.limits.tokens, llm.limits.tokens),
            seconds=min(part.limits.seconds, llm.limits.seconds),
            top=part.top,
        ),
        context=llm.context or DEFAULT_CONTEXT,
    )
    with _writer(file, path, part.llm, target, options, token) as (write, about):
        yield Opened(
            assistant=Assistant(settings, passages_of(index), write, time.monotonic),
            part=part,
            file=file,
            index=f"{part.index} ({index.facts.search})",
            index_key=_key_of(file, part.index, target),
            llm=about,
        )


def _key_of(file: ApplicationFile, index: str, target: str) -> str:
    output = StateDirectory(file.directory, target_named(file.application, target)).latest / BuildIndex.verb / index
    return output.resolve().parent.name


@contextlib.contextmanager
def _writer(
    file: ApplicationFile, path: Path, name: str, target: str, options: TargetOptions | None, token: str
) -> Iterator[tuple[Write, str]]:
    """What has a language model write, and what it is in words."""
    endpoint = LLMS.of(file.application)[name].endpoint
    if endpoint is not None:
        yield _writes(_endpoint(file, name, endpoint), endpoint.model), f"{endpoint.model} at {endpoint.url}"
        return
    services, assistants = SERVICES.of(file.application), ASSISTANTS.of(file.application)
    by_assistant = {each for each, part in assistants.items() if part.llm == name}
    serving = next((each for each, part in services.items() if part.llm == name), None)
    serving = serving or next((each for each, part in services.items() if part.assistant in by_assistant), None)
    if serving is None:
        hint = f"add it to the file: services: {{chat: {{llm: {name}}}}}"
        raise file.error(f"no service has the language model '{name}'", hint, *LLMS.place(name))
    with open_service(path, serving, target, options) as up:
        yield _writes(_own_service(up, token), name), f"{name} of the service {serving}"


def _own_service(up: CalledService, token: str) -> ChatService:
    """A service of the application, which is asked with the caller's token."""
    return ChatService(
        url=f"{up.url.rstrip('/')}/v1",
        key=token,
        key_hint=TOKEN_HINT,
        host=up.host,
        encryption=encryption_of(up.certificate) if up.certificate else None,
    )


def _endpoint(file: ApplicationFile, name: str, endpoint: Endpoint) -> ChatService:
    """Somebody else's service, which is asked with the key of the variable that the file names."""
    if endpoint.key is None:
        return ChatService(url=endpoint.url)
    value = os.environ.get(endpoint.key.env, "").strip()
    if not value:
        at = (*LLMS.place(name), "endpoint", "key", "env")
        raise file.error(f"the variable {endpoint.key.env} is not set", "set it to the key of the service", *at)
    return ChatService(url=endpoint.url, key=value, key_hint=f"check the value of ${endpoint.key.env}")


def _writes(service: ChatService, model: str) -> Write:
    def write(messages: Sequence[Message], tokens: int, seconds: float) -> Written:
        asked = ChatRequest(model=model, messages=messages, tokens=tokens, seconds=seconds, stop=STOPS)
        return ChatStream(service, asked)

    return write
