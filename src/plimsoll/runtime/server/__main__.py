"""`python -m plimsoll.runtime.server`: serve models at an address until SIGTERM or SIGINT."""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from plimsoll.errors import MissingExtra, PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.runtime.server.options import Options, from_command_line

if TYPE_CHECKING:
    from plimsoll.runtime.server.worker import Worker


def main() -> None:
    """Serve; exit 0 after a drained shutdown, 1 with a one-line reason when it cannot start."""
    try:
        options = from_command_line()
        with listener_at(options.host, options.port) as listener:
            if options.scale.supervised:
                from plimsoll.runtime.server.supervisor import Supervisor

                Supervisor(options, listener, lambda grpc_port: say_ready(options, listener, grpc_port)).run()
            else:
                serve(options, listener)
    except PlimsollError as error:
        _end(error.on_one_line())


def serve(options: Options, listener: socket.socket) -> None:
    """Answer requests in this process. Raises PlimsollError when the models cannot be loaded or a port is taken."""

    def ready(grpc_port: int | None) -> None:
        gc.enable()
        say_ready(options, listener, grpc_port)

    # All that is loaded here stays: looking through it for garbage, again and again, only delays the first answer.
    gc.disable()
    try:
        worker = _worker(options)
        worker.run(listener, ready=ready)
    finally:
        gc.enable()


def _worker(options: Options) -> Worker:
    try:
        from plimsoll.runtime.server.worker import Worker
    except ImportError:
        raise MissingExtra("serve", "the inference server") from None
    return Worker(options)


def listener_at(host: str, port: int) -> socket.socket:
    """A socket that is bound to the port and does not listen yet. Raises TargetError when the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "ports are 0 to 65535"
        raise TargetError(
            f"the port cannot be taken: {why}",
            where=f"{host}:{port}",
            hint="name another, or 0 for a free one",
        ) from error
    return listener


def say_ready(options: Options, listener: socket.socket, grpc_port: int | None) -> None:
    """Write the address to standard output and to the ready file."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"{'https' if options.tls else 'http'}://{host}:{listener.getsockname()[1]}"
    print(f"{options.about} at {url}", flush=True)
    about: dict[str, object] = {"url": url, "pid": os.getpid()}
    if grpc_port is not None:
        about["grpc"] = f"{host}:{grpc_port}"
        print(f"  and by gRPC at {about['grpc']}", flush=True)
    if options.ready_file:
        replace_file(options.ready_file, json.dumps(about).encode())


def _end(reason: str) -> NoReturn:
    sys.stderr.write(f"error: {reason}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
