"""`python -m plimsoll.runtime.server`: one model version behind an address, until it is told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from plimsoll.errors import MissingExtra, PlimsollError, TargetError


def main() -> None:
    """Serve; exit 0 after a drained shutdown, 1 with one line of reason when it cannot start."""
    arguments = _arguments()
    try:
        serve(arguments)
    except PlimsollError as error:
        _end(error.on_one_line())


def serve(arguments: argparse.Namespace) -> None:
    """Load the model, take the port, answer until SIGTERM or SIGINT. Raises PlimsollError when it cannot."""
    try:
        import uvicorn
        import uvloop

        from plimsoll.runtime.model import Model
        from plimsoll.runtime.server.app import Application
        from plimsoll.runtime.server.observers import Observers, observer_from
    except ImportError:
        raise MissingExtra("serve", "the inference server") from None
    listener = _listener(arguments.host, arguments.port)
    model = Model(arguments.model, arguments.name, threads=arguments.threads, digest=arguments.digest)
    observers = Observers([observer_from(written) for written in arguments.observer])
    application = Application(
        model,
        arguments.version,
        threads=arguments.threads,
        largest_body=arguments.largest_body,
        observers=observers,
    )

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn raises the signal again at its end; a drained server has ended well.
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            _say_ready(arguments, listener)

        async def until_told(self) -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.drain)
            await self.serve(sockets=[listener])

        def drain(self) -> None:
            application.ready = False
            self.should_exit = True

    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=int(max(1, arguments.drain)),
    )
    uvloop.run(Server(config).until_told())
    observers.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.server", description=__doc__)
    parser.add_argument("--name", required=True, help="the model's name in the protocol's paths")
    parser.add_argument("--version", default="1")
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--threads", type=int, default=1, help="of one inference, and inferences at once")
    parser.add_argument("--ready-file", type=Path, help="where the address is written when it answers")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds for requests under way at the end")
    parser.add_argument("--largest-body", type=int, default=64 << 20, help="bytes of a request")
    parser.add_argument("--digest", default="", help="what the model is known by; its own SHA-256 otherwise")
    parser.add_argument("--observer", action="append", default=[], help="package.module:name[={arguments in JSON}]")
    return parser.parse_args()


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise TargetError(
            f"the port cannot be taken: {error.strerror}",
            where=f"{host}:{port}",
            hint="name another, or 0 for a free one",
        ) from error
    return listener


def _say_ready(arguments: argparse.Namespace, listener: socket.socket) -> None:
    url = f"http://{arguments.host}:{listener.getsockname()[1]}"
    about = json.dumps({"url": url, "pid": os.getpid()})
    print(f"{arguments.name} version {arguments.version} at {url}", flush=True)
    if arguments.ready_file:
        temporary = arguments.ready_file.with_suffix(".part")
        temporary.write_text(about, encoding="ascii")
        temporary.replace(arguments.ready_file)


def _end(reason: str) -> NoReturn:
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
