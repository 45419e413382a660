"""Inference servers as processes of this machine: start, wait, test, announce, stop."""

from __future__ import annotations

import queue
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, to_builtins

from plimsoll.decoding import decodable
from plimsoll.files import replace_file
from plimsoll.indexes.names import PREFIX
from plimsoll.kinds.serve import LOOPBACK, Serve
from plimsoll.kinds.service_settings import Scale
from plimsoll.runtime.server.admin_token import make_token_file
from plimsoll.runtime.server.identities.settings import OPTION, AuthSettings
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.tls.settings import OPTION as TLS_OPTION
from plimsoll.runtime.server.tls.settings import TlsSettings
from plimsoll.state.directory import StateDirectory
from plimsoll.state.logs import last_log_line
from plimsoll.targets.local.commands import base_environment
from plimsoll.targets.local.process_identity import identity, lives
from plimsoll.targets.local.warden import Process, ProcessEnd, Warden
from plimsoll.targets.models import digests_of

if TYPE_CHECKING:
    from plimsoll.registry.versions import ModelVersion
    from plimsoll.runtime.inference_check import Checked

KEEPER = "keeper"
"""What stands in place of a run's id in the announcement of a service that is kept up apart from runs."""
READY_LIMIT = 60.0
"""Seconds that a server has to become ready: large models load slowly."""
TESTED = "tested.json"
"""In the directory of a service: the service file that a run has tested last."""
OWN_CODE_LIMIT = 180.0
"""The same for one that starts the user's own code, and tries it: the code has a limit of its own, with a reason."""
DRAIN_LIMIT = 5.0
"""Seconds that a stopping server has to answer its pending requests."""


@decodable
class RunningService(Struct, frozen=True, kw_only=True):
    """A running service, as `predict`, `promote` and `status` read it. `identity` tells its process from later ones."""

    name: str
    url: str
    pid: int
    model: str
    version: int
    run: str
    service_file: str = ""
    identity: str = ""
    certificate: str = ""
    """The file of the certificate of a server whose connections are encrypted."""


class Server:
    """One server process."""

    def __init__(
        self,
        process: Process,
        ready_file: Path,
        service_file: Path,
        ends: queue.Queue[ProcessEnd],
        log: Path,
        token_file: Path | None = None,
        name_of_host: str = "",
        certificate: str = "",
    ) -> None:
        """`token_file` has what opens a server that asks who calls it, `name_of_host` is a name that it goes by.

        `certificate` is the file of the one that it shows.
        """
        self.process = process
        self.ready_file = ready_file
        self.service_file = service_file
        self.ends = ends
        self.log = log
        self.token_file = token_file
        self.name_of_host = name_of_host
        self.certificate = certificate
        self.url = ""

    def wait_until_ready(self, stopped: Callable[[], bool] = lambda: False, limit: float = READY_LIMIT) -> str:
        """Wait until the server writes its address; returns the reason when it does not, else an empty text."""
        deadline = time.monotonic() + limit
        while not self.ready_file.exists():
            try:
                end = self.ends.get(timeout=0.01)
            except queue.Empty:
                if stopped():
                    return "stopped"
                if time.monotonic() > deadline:
                    return f"the server was not ready within {limit:g} s: {last_log_line(self.log)}"
                continue
            return f"the server {end.description()}: {last_log_line(self.log)}"
        self.url = _reachable(str(msgspec.json.decode(self.ready_file.read_bytes())["url"]))
        return ""

    def prove(self, work: Serve, model: str) -> Checked:
        """Request an inference of the sample, or of zeros, twice; gives the second, warm request.

        A language model is asked for a token. Raises RequestError with the server's reason when the answer does not
        follow the protocol.
        """
        from plimsoll.runtime.client import calling_as
        from plimsoll.runtime.inference_check import check_inference

        token = self.token_file.read_text().strip() if self.token_file is not None else ""
        with calling_as(token, self.name_of_host, self.certificate):
            if work.llm is not None:
                from plimsoll.runtime.llm_check import check_llm

                return check_llm(self.url, model)
            return check_inference(self.url, model, to_builtins(work.sample))

    def stop(self) -> ProcessEnd:
        """Drain and stop the server; returns how it ended."""
        self.process.send(signal.SIGTERM)
        try:
            return self.ends.get(timeout=DRAIN_LIMIT)
        except queue.Empty:
            self.process.send(signal.SIGKILL)
        try:
            return self.ends.get(timeout=DRAIN_LIMIT)
        except queue.Empty:
            return ProcessEnd(lost=True)


def start_server(
    warden: Warden,
    service: ServiceFile | None,
    *,
    directory: Path,
    log: Path,
    threads: int = 1,
    scale: Scale | None = None,
    observers: Sequence[str] = (),
    service_file: Path | None = None,
    token_file: Path | None = None,
    changes: Path | None = None,
    auth: AuthSettings | None = None,
    tls: TlsSettings | None = None,
    hosts: Sequence[str] = (),
    host: str = LOOPBACK,
    port: int = 0,
) -> Server:
    """Start a server for verified model files, by default on a free port.

    `directory` is for its ready file, and for its service file unless `service_file` is given; without a `service` that
    file is there already. `observers` have the format of `runtime.server.observers`. `token_file` gets the token for
    calls that change the server; without it they are refused. `changes` is the journal of changes of an index.
    """
    ready_file = directory / "ready.json"
    ready_file.unlink(missing_ok=True)
    service_file = service_file or directory / "service.json"
    service_file.parent.mkdir(parents=True, exist_ok=True)
    if service is not None:
        replace_file(service_file, msgspec.json.encode(service))
    ends: queue.Queue[ProcessEnd] = queue.Queue()
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(service_file)]
    argv += ["--host", host, "--port", str(port)]
    argv += ["--threads", str(threads), "--ready-file", str(ready_file), "--drain", f"{DRAIN_LIMIT - 1:g}"]
    if scale is not None:
        argv += ["--scale-min", str(scale.min), "--scale-max", str(scale.max)]
        argv += ["--scale-concurrency", str(scale.concurrency)]
    if token_file is not None:
        make_token_file(token_file)
        argv += ["--admin-token-file", str(token_file)]
    if auth is not None:
        argv += [OPTION, msgspec.json.encode(auth).decode()]
    if tls is not None:
        argv += [TLS_OPTION, msgspec.json.encode(tls).decode()]
    for name in hosts:
        argv += ["--only-host", name]
    if changes is not None:
        argv += ["--changes", str(changes)]
    for observer in observers:
        argv += ["--observer", observer]
    mark = str(directory / "output")
    process = warden.spawn(
        argv,
        environment={**base_environment(None), "PLIMSOLL_OUTPUT": mark},
        directory=directory,
        log=log,
        mark=mark,
        on_end=ends.put,
    )
    asks = auth is not None or (tls is not None and bool(tls.clients))
    return Server(
        process,
        ready_file,
        service_file,
        ends,
        log,
        token_file if asks else None,
        next(iter(hosts), ""),
        tls.certificate if tls is not None else "",
    )


def changes_of(state: StateDirectory, model: str) -> Path | None:
    """The journal of changes of an index, by what its versions are called; None for a model."""
    name = model.partition("@")[0]
    return state.changes / f"{name.removeprefix(PREFIX)}.jsonl" if name.startswith(PREFIX) else None


def single_model(version: ModelVersion, model: Path) -> ServiceFile:
    """The service file of one model version that gets all requests."""
    return ServiceFile(models=(model_file(version, model),))


def model_file(version: ModelVersion, model: Path) -> ModelFile:
    """A verified version and its file, as an entry of a service file."""
    files = {str(path): digest for path, digest in digests_of(version, model).items()}
    return ModelFile(
        name=version.name, version=str(version.version), path=str(model), digest=version.digest, files=files
    )


def service_of(server: Server, name: str, *, model: str, version: str, run: str) -> RunningService:
    """A service as its ready server gives it."""
    return RunningService(
        name=name,
        url=server.url,
        pid=server.process.pid,
        model=model,
        version=int(version),
        run=run,
        service_file=str(server.service_file),
        identity=identity(server.process.pid),
        certificate=server.certificate,
    )


def announce(state: StateDirectory, service: RunningService) -> None:
    """Write the address of a service, for `predict` and `status`."""
    replace_file(state.services / f"{service.name}.json", msgspec.json.encode(service))


def withdraw(state: StateDirectory, name: str) -> None:
    """Delete the address of a service that has ended."""
    (state.services / f"{name}.json").unlink(missing_ok=True)


def running_services(state: StateDirectory) -> dict[str, RunningService]:
    """The running services; one whose process has ended in a killed run does not count."""
    found = {}
    for path in sorted(state.services.glob("*.json")):
        try:
            service = msgspec.json.decode(path.read_bytes(), type=RunningService)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        if lives(service.pid, service.identity):
            found[service.name] = service
    return found


def _reachable(url: str) -> str:
    """The address by which this machine reaches a server that listens on all of its addresses."""
    return url.replace("//0.0.0.0:", f"//{LOOPBACK}:").replace("//[::]:", "//[::1]:")
