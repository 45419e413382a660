"""Who acts in histories, and where: people with keys and directories of their own, their runs, and a stage."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from plimsoll.kubernetes.memory.controllers import ContainerWaiting, Ended, Running
from plimsoll.planning.steps import AnyStep
from plimsoll.state.lock import RunLock
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterAttempt
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.port import RunRequest
from tests.targets.kubernetes.bench import Bench, Carried, Manifest, Pod
from tests.targets.kubernetes.serving import inference

_ENV = threading.RLock()
"""Who acts is said by the environment, which all threads have in common."""


class Person:
    """Somebody with keys and directories of their own."""

    def __init__(self, name: str, place: Path) -> None:
        self.name = name
        self.place = place / name

    @contextmanager
    def acting(self) -> Iterator[None]:
        """The block is done by this person."""
        with _ENV:
            before = os.environ.get("XDG_CONFIG_HOME", "")
            os.environ["XDG_CONFIG_HOME"] = str(self.place / "config")
            try:
                yield
            finally:
                os.environ["XDG_CONFIG_HOME"] = before


class PersonsSession(KubernetesSession):
    """A session that brings the keys of its own person, whoever acts at that moment."""

    person: Person

    def _unite(self) -> None:
        with self.person.acting():
            super()._unite()


class Run:
    """A run of a person, with a step that goes on until it is stopped."""

    def __init__(
        self, person: Person, target: KubernetesTarget, application: str, content: str, number: int, step: AnyStep
    ) -> None:
        self.person, self.application, self.content = person, application, content
        self.id = f"{person.name}-{number}"
        self.state = target.state
        self.lock = RunLock(target.state.lock)
        self.lock.acquire(self.id, application)
        target.state.journal(self.id).parent.mkdir(parents=True, exist_ok=True)
        target.state.journal(self.id).write_text("")
        opened = target.open(self.id, watch=False)
        self.session = PersonsSession(opened.context)
        self.session.person = person
        self.step = step
        self.carried: Carried | None = None
        self._number = number

    def begin(self) -> None:
        """Take the application's lease or join whoever has it, and have the step under way."""
        with self.person.acting():
            self.session.begin(RunRequest(content=self.content, number=self._number))
        self.carried = Carried(self.session.start(self.step, 1))

    @property
    def attempt(self) -> ClusterAttempt[Any]:
        assert self.carried is not None
        assert isinstance(self.carried.attempt, ClusterAttempt)
        return self.carried.attempt

    def stop(self) -> None:
        """Ctrl-C."""
        if self.carried is not None:
            self.carried.attempt.stop()
            self.carried.end()
        self.session.close()
        self.lock.release()

    def kill(self) -> None:
        """SIGKILL: nothing is done any more, and the lease is left as it is."""
        lease = self.session.context.lease
        lease._ending.set()
        if lease._thread is not None:
            lease._thread.join()
        self.attempt.only_watches = True
        self.attempt.stop()
        assert self.carried is not None
        self.carried.end()
        self.session.context.local.close()
        self.lock.release()


class Standing(Protocol):
    """A cluster as somebody else than Plimsoll sees and changes it."""

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None: ...

    def list(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]: ...

    def put(self, manifest: Manifest) -> Manifest: ...

    def delete(self, manifest: Manifest, grace: int | None = None) -> None: ...

    def wait_for(self, question: Callable[[], object], seconds: float = 10.0) -> bool: ...


class Stage(ABC):
    """Where histories happen: a cluster, what runs in its pods, and a namespace that somebody else has made."""

    cluster: Standing
    namespace: str
    endless = "python long.py"
    """A command that runs until it is stopped."""
    patience = 10.0
    """Seconds for a pod to be up."""

    @abstractmethod
    def target(self, application: str, directory: Path) -> KubernetesTarget:
        """An application on the cluster."""

    @abstractmethod
    def model(self, path: Path, person: str) -> None:
        """A model that a person has trained."""

    @abstractmethod
    def signed(self, digest: str, key: str) -> None:
        """Know who has signed a model."""

    @abstractmethod
    def close(self) -> None:
        """The history is over."""


class MemoryStage(Stage):
    """A cluster in memory. A server begins as its model's signer is trusted at that moment."""

    namespace = "shared"

    def __init__(self, bench: Bench) -> None:
        self.bench, self.cluster = bench, bench.cluster
        self._signers: dict[str, str] = {}
        self._leading = ExitStack()
        self._leading.enter_context(inference(bench, self.namespace))
        bench.does("run/long", Pod.wait)
        bench.serves = self._serving

    def target(self, application: str, directory: Path) -> KubernetesTarget:
        return self.bench.target(application, directory, namespace=self.namespace)

    def model(self, path: Path, person: str) -> None:
        path.write_text(f"weights of {person}")

    def signed(self, digest: str, key: str) -> None:
        self._signers[digest] = key

    def close(self) -> None:
        self._leading.close()

    def _serving(self, running: Running) -> Ended | ContainerWaiting | None:
        labels = running.pod["metadata"]["labels"]
        trusted = self.cluster.find("v1", "ConfigMap", f"{labels[names.APPLICATION]}-trust", self.namespace) or {}
        commands = str(running.pod["spec"].get("initContainers"))
        signers = [key for digest, key in self._signers.items() if digest in commands]
        if any(f"{key}.json" not in (trusted.get("data") or {}) for key in signers):
            return Ended(code=1, message="it is signed by a key that is not trusted here")
        running.stopped.wait()
        return None
