"""What a server process is told, and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile, in_directory, read_service_file


class Scale(Struct, frozen=True, kw_only=True):
    """How many processes answer.

    `concurrency` is requests under way per process; `idle` is in seconds: how long fewer must have been enough before
    one is ended, and how long there must have been no request before the last is.
    """

    min: int = 1
    max: int = 1
    concurrency: int = 32
    idle: float = 30.0

    @property
    def supervised(self) -> bool:
        """Whether somebody must be there who starts and ends processes."""
        return self.min != 1 or self.max != 1


class Patience(Struct, frozen=True, kw_only=True):
    """Limits on clients. All in seconds but `connections`.

    `idle` between two requests; `receive` for the whole of one request to come, and one more for each 64 KiB of it;
    `send` for a client that does not read its answer.
    """

    idle: float = 75.0
    receive: float = 30.0
    send: float = 30.0
    connections: int = 8192


class Options(Struct, frozen=True, kw_only=True):
    """Everything that a server is told. Times in seconds, sizes in bytes."""

    source: Callable[[], ServiceFile]
    host: str = "127.0.0.1"
    port: int = 0
    grpc_port: int | None = None
    threads: int = 1
    ready_file: Path | None = None
    drain: float = 10.0
    largest_body: int = 64 << 20
    queue: int = 256
    seconds: float = 30.0
    observers: tuple[str, ...] = ()
    patience: Patience = Patience()
    scale: Scale = Scale()
    about: str = ""


def from_command_line(argv: list[str] | None = None) -> Options:
    """The options. Raises TargetError; argparse exits with 2 on wrong usage."""
    arguments = _parser().parse_args(argv)
    scale = Scale(min=arguments.scale_min, max=max(1, arguments.scale_max, arguments.scale_min),
                  concurrency=arguments.scale_concurrency, idle=arguments.scale_idle)  # fmt: skip
    return Options(
        source=_source(arguments),
        host=arguments.host,
        port=arguments.port,
        grpc_port=arguments.grpc_port,
        threads=arguments.threads,
        ready_file=arguments.ready_file,
        drain=arguments.drain,
        largest_body=arguments.largest_body,
        queue=arguments.queue,
        seconds=arguments.seconds,
        observers=tuple(arguments.observer),
        patience=Patience(idle=arguments.idle, receive=arguments.receive, connections=arguments.connections),
        scale=scale,
        about=_about(arguments),
    )


def _about(arguments: argparse.Namespace) -> str:
    if arguments.model:
        return f"{arguments.name} version {arguments.version}"
    return f"the models of {arguments.service or arguments.repository}"


def _source(arguments: argparse.Namespace) -> Callable[[], ServiceFile]:
    batching = Batching(
        rows=arguments.batch_rows, wait=arguments.batch_wait / 1000,
        budget=arguments.batch_budget / 1000 if arguments.batch_budget else None,
    )  # fmt: skip
    given = [arguments.model, arguments.repository, arguments.service]
    if sum(each is not None for each in given) != 1:
        raise TargetError("there is nothing to serve", hint="say one of --model, --repository and --service")
    if arguments.service:
        return lambda: read_service_file(arguments.service)
    if arguments.repository:

        def whole_directory() -> ServiceFile:
            files = in_directory(arguments.repository)
            return ServiceFile(models=files, batching={file.name: batching for file in files})

        return whole_directory
    if not arguments.name:
        raise TargetError("the model has no name", hint="say --name with --model")
    file = ModelFile(name=arguments.name, version=arguments.version, path=str(arguments.model), digest=arguments.digest)
    single = ServiceFile(models=(file,), batching={file.name: batching})
    return lambda: single


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plimsoll.runtime.server", description=__doc__)
    what = parser.add_argument_group("what is served (one of the first three)")
    what.add_argument("--model", type=Path, help="an ONNX file")
    what.add_argument("--repository", type=Path, help="a directory of <name>/<version>/model.onnx")
    what.add_argument("--service", type=Path, help="a service file in JSON, read again at SIGHUP")
    what.add_argument("--name", help="the model's name in the protocol's paths, with --model")
    what.add_argument("--version", default="1")
    what.add_argument("--digest", default="", help="what the model is known by; its own SHA-256 otherwise")
    where = parser.add_argument_group("where")
    where.add_argument("--host", default="127.0.0.1")
    where.add_argument("--port", type=int, default=0, help="0 takes a free one")
    where.add_argument("--grpc-port", type=int, help="answer gRPC there as well; 0 takes a free one")
    where.add_argument("--ready-file", type=Path, help="where the address is written when it answers")
    how = parser.add_argument_group("how")
    how.add_argument("--threads", type=int, default=1, help="of one inference, and inferences at once")
    how.add_argument("--batch-rows", type=int, default=1, help="rows computed together at most; 1: no batching")
    how.add_argument("--batch-wait", type=float, default=2.0, help="milliseconds that a request waits for others")
    how.add_argument("--batch-budget", type=float, help="milliseconds to the answer that waiting may lead to")
    how.add_argument("--observer", action="append", default=[], help="package.module:name[={arguments in JSON}]")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--drain", type=float, default=10.0, help="seconds for requests under way at the end")
    limits.add_argument("--largest-body", type=int, default=64 << 20, help="bytes of a request")
    limits.add_argument("--queue", type=int, default=256, help="requests that may wait for a model; then 503")
    limits.add_argument("--seconds", type=float, default=30.0, help="of one inference; then 504")
    limits.add_argument(
        "--receive", type=float, default=30.0, help="seconds for a request to come, more for large ones"
    )
    limits.add_argument("--idle", type=float, default=75.0, help="seconds that a connection may be without a request")
    limits.add_argument("--connections", type=int, default=8192, help="at once; then 503")
    scale = parser.add_argument_group("processes")
    scale.add_argument("--scale-min", type=int, default=1, help="0: none when there is nothing to do")
    scale.add_argument("--scale-max", type=int, default=1)
    scale.add_argument("--scale-concurrency", type=int, default=32, help="requests under way per process")
    scale.add_argument("--scale-idle", type=float, default=30.0, help="seconds before one too many is ended")
    return parser
