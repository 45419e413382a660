"""llama.cpp in a process of its own: `python -m plimsoll.llms.engines.llama_cpp_process ORDER`.

It answers the OpenAI API at a socket until whoever has started it is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import msgspec

from plimsoll.llms.engines.order import Order, Told

LOOK = 0.5
"""Seconds between two looks at whoever has started it."""
LOADED_LOOK, LOADED_LIMIT = 0.02, 60.0
"""Seconds between two questions whether its model is loaded, and for one answer."""
_REASON = re.compile(rb"(?:error loading model: *|(?=couldn't bind)|(?<=: )(?=failed to ))([^\n]{1,300})")
_ADAPTER = re.compile(rb"[^\n]*(?:lora|adapter)[^\n]*", re.IGNORECASE)


def main() -> None:
    """Load the model, say so, and answer."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    try:
        import xllamacpp
    except ImportError as error:
        _end(order, f"the extra plimsoll[llms] is not installed: {error}")
    with _said() as said:
        try:
            server = _started(xllamacpp, order)
            _await_loaded(order.socket)
        except (RuntimeError, ValueError, OSError) as error:
            _end(order, _reason(said.read_bytes()) or str(error).rstrip("."))
    os.write(order.ready, msgspec.json.encode(Told()))
    os.close(order.ready)
    # It answers in threads of its own, as long as the object lives.
    while os.getppid() == order.parent:
        time.sleep(LOOK)
    # Whoever has made the socket's directory was killed, and cannot remove it.
    shutil.rmtree(Path(order.socket).parent, ignore_errors=True)
    os._exit(0 if server else 1)


def _started(xllamacpp: object, order: Order) -> object:
    from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

    params = CommonParams()
    params.model.path = order.model
    params.model_alias = {order.name}
    params.n_parallel = order.slots
    params.n_ctx = order.context * order.slots
    params.n_predict = order.tokens
    params.fit_params = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order.threads
    # Each waiting request holds a thread, and those that are refused for their number never come here.
    params.n_threads_http = order.slots + 2
    params.hostnames = [order.socket]
    params.ui = False
    params.endpoint_slots = params.endpoint_metrics = True
    params.verbosity = 1
    params.cache_ram_mib = order.cache
    if order.adapters:
        params.lora_adapters = [CommonAdapterLoraInfo(path, 1.0) for path in order.adapters]
        params.lora_init_without_apply = True
    return Server(params)


def _await_loaded(path: str) -> None:
    """Wait until it answers well: for a moment after its start it says that it still loads its model.

    Whoever has started this process has a limit for all of it. Raises OSError when it no longer listens.
    """
    while True:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(LOADED_LIMIT)
            asking.connect(path)
            asking.sendall(b"GET /health HTTP/1.1\r\nhost: llm\r\nconnection: close\r\n\r\n")
            if asking.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
                return
        time.sleep(LOADED_LOOK)


@contextlib.contextmanager
def _said() -> Iterator[Path]:
    """A file that has what the engine writes to standard error meanwhile, which then goes where it would have gone."""
    sys.stderr.flush()
    outer = os.dup(2)
    with tempfile.NamedTemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield Path(file.name)
        finally:
            os.dup2(outer, 2)
            os.close(outer)
            with contextlib.suppress(OSError):
                os.write(2, Path(file.name).read_bytes()[-8192:])


def _reason(said: bytes) -> str:
    """The first reason that the engine gives."""
    found = _REASON.search(said) or _ADAPTER.search(said)
    return found[found.lastindex or 0].decode(errors="replace").strip() if found else ""


def _end(order: Order, problem: str) -> NoReturn:
    os.write(order.ready, msgspec.json.encode(Told(problem=problem)))
    os._exit(1)


if __name__ == "__main__":
    main()
