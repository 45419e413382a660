"""The services of a device: one server each, which proves a new model beside the old one before it switches."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

from plimsoll.edge.agent.disk import AgentDisk
from plimsoll.edge.agent.sensors import Sensors
from plimsoll.edge.documents import ServiceReport, WantedService
from plimsoll.errors import PlimsollError, RequestError, TargetError
from plimsoll.files import replace_file
from plimsoll.kinds.service_settings import Telemetry
from plimsoll.runtime import client
from plimsoll.runtime.inference_check import Sample, check_inference
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.targets.local.servers import Server, start_server
from plimsoll.targets.local.warden import Warden
from plimsoll.targets.services import observer_option
from plimsoll.telemetry.version_counts import VersionCounts, counts_at

LOAD_LIMIT = 60.0
"""Seconds that a server has to load a model beside the one that it serves."""
_LOOK = 0.2
OpenModel = Callable[[WantedService], ModelFile]
"""Gives the verified model of a service on this disk. Raises PlimsollError."""


class DeviceService:
    """One service: its server process, and the model that answers."""

    def __init__(self, disk: AgentDisk, warden: Warden, wanted: WantedService) -> None:
        self.wanted = wanted
        self._directory = disk.services / wanted.name
        self._warden = warden
        self._server: Server | None = None
        self._sensors: Sensors | None = None

    @property
    def url(self) -> str:
        """The server's address; empty before it has started."""
        return self._server.url if self._server else ""

    def start(self, model: ModelFile) -> None:
        """Start the server with a model, and prove it. Raises PlimsollError, and nothing runs then."""
        self._directory.mkdir(parents=True, exist_ok=True)
        server = start_server(
            self._warden,
            ServiceFile(models=(model,)),
            directory=self._directory,
            log=self._directory / "server.log",
            threads=self.wanted.threads,
            host=self.wanted.host,
            port=self.wanted.port,
            observers=self._observers(),
        )
        try:
            if problem := server.wait_until_ready():
                raise TargetError(problem, where=f"service {self.wanted.name}")
            self._prove(server.url, model, self.wanted)
        except PlimsollError:
            server.stop()
            raise
        self._server = server

    def switch(self, wanted: WantedService, model: ModelFile) -> None:
        """Load a model beside the one that answers, prove it, and let it answer.

        Raises PlimsollError when it cannot be proved; the one before answers then as if nothing had been.
        """
        server = self._server
        if server is None or _settings(wanted) != _settings(self.wanted):
            self._start_anew(wanted, model)
            return
        before = server.service_file.read_bytes()
        old = msgspec.json.decode(before, type=ServiceFile)
        try:
            traffic: dict[str, tuple[Share, ...]] = {}
            if old.models[0].name == model.name:
                traffic[model.name] = (_all_of(old.models[0].version), Share(version=model.version, weight=0))
            self._tell(server, ServiceFile(models=(*old.models, model), traffic=traffic))
            self._wait_until_loaded(server, model)
            self._prove(server.url, model, wanted)
        except PlimsollError:
            replace_file(server.service_file, before)
            server.process.send(signal.SIGHUP)
            raise
        self._tell(server, ServiceFile(models=(model,)))
        self.wanted = wanted

    def listen(self, device: str, say: Callable[[str], None]) -> None:
        """Answer the readings that the service subscribes to, from now on with the present model."""
        wanted, sensors = self.wanted, self._sensors
        model = wanted.model.replace("@", "/versions/")
        if sensors is not None and sensors.wanted == wanted.subscribe:
            sensors.model_changed(model)
            return
        if sensors is not None:
            sensors.stop()
            self._sensors = None
        if wanted.subscribe is not None:
            self._sensors = Sensors(device, wanted.name, model, wanted.subscribe, lambda: self.url, say)
            self._sensors.start()

    def ended(self) -> str:
        """How the server ended; empty while it runs."""
        if self._server is None:
            return "it has not started"
        if self._server.ends.empty():
            return ""
        return f"its server {self._server.ends.get().description()}"

    def stop(self) -> None:
        """Answer what is under way, and end."""
        if self._sensors is not None:
            self._sensors.stop()
            self._sensors = None
        self._end_server()

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def report(self) -> ServiceReport:
        """What it serves, and what it has answered."""
        up = self._server is not None and self._server.ends.empty()
        requests = errors = 0
        if up:
            name, _, version = self.wanted.model.partition("@")
            try:
                codes = counts_at(self.url, name).get(version, VersionCounts()).codes
                requests = int(sum(codes.values()))
                errors = int(sum(number for code, number in codes.items() if code >= "500"))
            except PlimsollError:
                up = False
        sensors = self._sensors
        return ServiceReport(
            name=self.wanted.name,
            model=self.wanted.model,
            up=up,
            url=self.url,
            requests=requests,
            errors=errors,
            readings=sensors.answered if sensors else 0,
            refused=sensors.refused if sensors else 0,
            dropped=sensors.dropped if sensors else 0,
        )

    def log(self, name: str) -> Path:
        """The path of the service's access or audit log."""
        return self._directory / f"{name}.jsonl"

    def _observers(self) -> tuple[str, ...]:
        wanted = self.wanted
        telemetry = Telemetry(access=wanted.access, audit=wanted.audit, payloads=wanted.payloads)
        return (observer_option(wanted.name, telemetry, lambda name: str(self.log(name)), ()),)

    def _start_anew(self, wanted: WantedService, model: ModelFile) -> None:
        former, old = self._server, self.wanted
        content = former.service_file.read_bytes() if former else b""
        self._end_server()
        self.wanted = wanted
        try:
            self.start(model)
        except PlimsollError:
            self.wanted = old
            if content:
                self.start(msgspec.json.decode(content, type=ServiceFile).models[0])
            raise

    def _tell(self, server: Server, content: ServiceFile) -> None:
        replace_file(server.service_file, msgspec.json.encode(content))
        server.process.send(signal.SIGHUP)

    def _wait_until_loaded(self, server: Server, model: ModelFile) -> None:
        deadline = time.monotonic() + LOAD_LIMIT
        while True:
            try:
                client.metadata(server.url, _path(model))
            except RequestError as error:
                if not server.ends.empty():
                    raise TargetError(f"the server ended when it loaded {model.name}@{model.version}") from error
                if time.monotonic() > deadline:
                    what = f"{model.name}@{model.version} was not loaded within {LOAD_LIMIT:g} s: {error.message}"
                    raise TargetError(what, where=f"service {self.wanted.name}") from error
            else:
                return
            time.sleep(_LOOK)

    def _prove(self, url: str, model: ModelFile, wanted: WantedService) -> None:
        check_inference(url, _path(model), cast("Sample", wanted.sample))


def model_file_at(directory: Path, model: str, digest: str, files: dict[str, str]) -> ModelFile:
    """A model in a directory as an entry of a service file. `files` are the digests by name. Raises TargetError."""
    onnx = sorted(name for name in files if name.endswith(".onnx"))
    if not onnx:
        raise TargetError(f"{model} has no ONNX file among {', '.join(sorted(files))}", where=str(directory))
    chosen = next((name for name in onnx if name.rpartition("/")[2] == "model.onnx"), onnx[0])
    name, _, version = model.partition("@")
    paths = {str(directory / each): value for each, value in files.items()}
    return ModelFile(name=name, version=version, path=str(directory / chosen), digest=digest, files=paths)


def _settings(wanted: WantedService) -> tuple[object, ...]:
    """What a server has from its start."""
    return (wanted.host, wanted.port, wanted.threads, wanted.access, wanted.audit, wanted.payloads)


def _path(model: ModelFile) -> str:
    return f"{model.name}/versions/{model.version}"


def _all_of(version: str) -> Share:
    return Share(version=version, weight=100)
