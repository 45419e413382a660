"""The options of a server process, and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.settings import OPTION, AuthSettings, read_settings
from plimsoll.runtime.server.service_file import Batching, ModelFile, ServiceFile, in_directory, read_service_file
from plimsoll.runtime.server.tls.settings import OPTION as TLS_OPTION
from plimsoll.runtime.server.tls.settings import TlsSettings
from plimsoll.runtime.server.tls.settings import read_settings as read_tls

HELP_WIDTH = 100
"""Characters of a line of `--help`."""


class Scale(Struct, frozen=True, kw_only=True):
    """How many processes answer requests.

    `concurrency` is the number of requests under way for each process. `idle` is in seconds: a process is ended after
    fewer have been enough for that long, and the last one after that long without a request.
    """

    min: int = 1
    max: int = 1
    concurrency: int = 32
    idle: float = 30.0

    @property
    def supervised(self) -> bool:
        """Whether a supervisor starts and ends processes."""
        return self.min != 1 or self.max != 1


class Patience(Struct, frozen=True, kw_only=True):
    """Limits on clients, in seconds except `connections`.

    `idle` is between two requests. `receive` is for one whole request, plus one second for each 64 KiB of its body.
    `send` is for a client that does not read its response.
    """

    idle: float = 75.0
    receive: float = 30.0
    send: float = 30.0
    connections: int = 8192


class Options(Struct, frozen=True, kw_only=True):
    """All options of a server. Times are in seconds, sizes in bytes."""

    source: Callable[[], ServiceFile]
    host: str = "127.0.0.1"
    port: int = 0
    grpc_port: int | None = None
    threads: int = 1
    ready_file: Path | None = None
    drain: float = 10.0
    largest_body: int = 64 << 20
    memory: int = 256 << 20
    queue: int = 256
    seconds: float = 30.0
    observers: tuple[str, ...] = ()
    patience: Patience = Patience()
    scale: Scale = Scale()
    about: str = ""
    admin_token_file: Path | None = None
    changes: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    only_hosts: tuple[str, ...] = ()
    auth: AuthSettings | None = None
    tls: TlsSettings | None = None


def from_command_line(argv: list[str] | None = None) -> Options:
    """The options. Raises TargetError; argparse exits with 2 on wrong usage."""
    arguments = _parser().parse_args(argv)
    scale = Scale(min=arguments.scale_min, max=max(1, arguments.scale_max, arguments.scale_min),
                  concurrency=arguments.scale_concurrency, idle=arguments.scale_idle)  # fmt: skip
    tls = read_tls(arguments.tls) if arguments.tls else None
    by_certificate = tls is not None and bool(tls.clients)
    if arguments.only_host and arguments.grpc_port is not None:
        hint = "leave out --only-host or --grpc-port: the library of gRPC tells no server which name a call is for"
        raise TargetError("a server with --only-host does not answer gRPC", hint=hint)
    return Options(
        source=_source(arguments),
        host=arguments.host,
        port=arguments.port,
        grpc_port=arguments.grpc_port,
        threads=arguments.threads,
        ready_file=arguments.ready_file,
        drain=arguments.drain,
        largest_body=arguments.largest_body,
        memory=arguments.memory,
        queue=arguments.queue,
        seconds=arguments.seconds,
        observers=tuple(arguments.observer),
        patience=Patience(idle=arguments.idle, receive=arguments.receive, connections=arguments.connections),
        scale=scale,
        about=_about(arguments),
        admin_token_file=arguments.admin_token_file,
        changes=arguments.changes,
        allowed_hosts=tuple(arguments.allow_host),
        only_hosts=tuple(arguments.only_host),
        auth=read_settings(arguments.auth, by_certificate=by_certificate) if arguments.auth else None,
        tls=tls,
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
        raise TargetError("no models are named", hint="give one of --model, --repository and --service")
    if arguments.service:
        return lambda: read_service_file(arguments.service)
    if arguments.repository:

        def whole_directory() -> ServiceFile:
            files = in_directory(arguments.repository)
            return ServiceFile(models=files, batching={file.name: batching for file in files})

        return whole_directory
    if not arguments.name:
        raise TargetError("the model has no name", hint="give --name with --model")
    file = ModelFile(name=arguments.name, version=arguments.version, path=str(arguments.model), digest=arguments.digest)
    single = ServiceFile(models=(file,), batching={file.name: batching})
    return lambda: single


def _parser() -> argparse.ArgumentParser:
    # The width of the terminal is not asked for: with each option argparse would load what can tell it.
    formatter = partial(argparse.HelpFormatter, width=HELP_WIDTH)
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.server", description=__doc__, formatter_class=formatter
    )
    models = parser.add_argument_group("models (one of the first three)")
    models.add_argument("--model", type=Path, help="an ONNX file")
    models.add_argument("--repository", type=Path, help="a directory of <name>/<version>/model.onnx")
    models.add_argument("--service", type=Path, help="a service file in JSON, read again at SIGHUP")
    models.add_argument("--changes", type=Path, help="the journal of changes of the index that is served")
    models.add_argument("--name", help="the model's name in the protocol's paths, with --model")
    models.add_argument("--version", default="1")
    models.add_argument("--digest", default="", help="the model's digest in a registry; its SHA-256 when left out")
    addresses = parser.add_argument_group("addresses")
    addresses.add_argument("--host", default="127.0.0.1")
    addresses.add_argument("--port", type=int, default=0, help="0 takes a free one")
    addresses.add_argument("--grpc-port", type=int, help="also answer gRPC, on this port; 0 takes a free one")
    addresses.add_argument("--ready-file", type=Path, help="file for the address, written when the server is ready")
    callers = parser.add_argument_group("callers")
    callers.add_argument(
        "--admin-token-file",
        type=Path,
        help="file with the token for calls that load or unload models and for feedback; without it they are refused",
    )
    callers.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name that metrics and admin calls may also be for or from, where --host is this machine's own",
    )
    callers.add_argument(
        "--only-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name that requests must be for; others are refused, except of health",
    )
    callers.add_argument(
        OPTION, metavar="JSON", help='who may ask: {"tokens": FILE, "jwt": {"issuer": …, "audience": …}, "limits": {…}}'
    )
    callers.add_argument(
        TLS_OPTION, metavar="JSON", help='encrypt: {"certificate": FILE, "key": FILE, "clients": FILE, "revoked": FILE}'
    )
    computing = parser.add_argument_group("computing")
    computing.add_argument("--threads", type=int, default=1, help="threads of one inference, and inferences at once")
    computing.add_argument("--batch-rows", type=int, default=1, help="largest batch in rows; 1: no batching")
    computing.add_argument(
        "--batch-wait", type=float, default=2.0, help="longest wait of a request for others, in milliseconds"
    )
    computing.add_argument("--batch-budget", type=float, help="milliseconds to an answer that a wait may not exceed")
    computing.add_argument("--observer", action="append", default=[], help="package.module:name[={arguments in JSON}]")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--drain", type=float, default=10.0, help="seconds for requests under way when the server ends")
    limits.add_argument("--largest-body", type=int, default=64 << 20, help="bytes of a request")
    limits.add_argument("--memory", type=int, default=256 << 20, help="bytes of all requests under way; then 503")
    limits.add_argument("--queue", type=int, default=256, help="requests that may wait for a model; then 503")
    limits.add_argument("--seconds", type=float, default=30.0, help="of one inference; then 504")
    limits.add_argument("--receive", type=float, default=30.0, help="seconds to receive a request, more for large ones")
    limits.add_argument("--idle", type=float, default=75.0, help="seconds for a connection without a request")
    limits.add_argument("--connections", type=int, default=8192, help="at once; then 503")
    scale = parser.add_argument_group("processes")
    scale.add_argument("--scale-min", type=int, default=1, help="0: no process while there are no requests")
    scale.add_argument("--scale-max", type=int, default=1)
    scale.add_argument("--scale-concurrency", type=int, default=32, help="requests under way per process")
    scale.add_argument("--scale-idle", type=float, default=30.0, help="seconds before an unneeded process is ended")
    return parser
