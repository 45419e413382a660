"""A target on a cluster in memory, with pods that are Python functions and a registry that is a real one."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import AttemptEnded, RunEvent, Waiting, event_of
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kinds.train import Framework, TrainGang
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers import ContainerWaiting, Ended, Running, SaysReady, at_once, workloads
from plimsoll.planning.steps import AnyStep, InputFile, Step, Work, WorkerResources
from plimsoll.runtime import artifacts
from plimsoll.runtime.pod.store import PodStore
from plimsoll.runtime.pod_task import TASK_VARIABLE, PodInput, PodTask, decode_task
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.pods import INDEX
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import RunningAttempt, RunRequest

APPLICATION = "shop"
Manifest = dict[str, Any]


class Pod:
    """A pod with a task, as its function sees it. What it writes is in `output` and counts once it is left."""

    def __init__(self, running: Running, task: PodTask, output: Path) -> None:
        self.running = running
        self.task = task
        self.output = output
        self.name = running.name
        self.rank = int(running.pod["metadata"].get("annotations", {}).get(INDEX, "0"))

    def print(self, text: str) -> None:
        """Print lines."""
        self.running.print(text)

    def wait(self) -> Ended:
        """Run until somebody ends the pod, and end as a command does that minds SIGTERM."""
        assert self.running.stopped.wait(300)
        return Ended(code=143)

    def input(self, given: PodInput) -> bytes:
        """The content of an input that is one file: pulled from the registry, as the pod's own process would do."""
        with tempfile.TemporaryDirectory() as place, PodStore(self.task) as store:
            repository, reference = store._repository(given.reference)
            assert artifacts.pull(repository, reference.target, Path(place))
            return store._path(PodInput(name=given.name, reference="", file=given.file, mounted=place)).read_bytes()

    def leave(self, **files: str) -> None:
        """Push files to the task's result, `model_onnx="…"` as `model.onnx`; rank 0 alone does so."""
        if self.rank:
            return
        for name, text in files.items():
            (self.output / name.replace("_", ".")).write_text(text, encoding="utf-8")
        with PodStore(self.task) as store:
            store.push_output(self.output, self.output / "no-checkpoints")


Behaviour = Callable[[Pod], Ended | ContainerWaiting | None]


def succeed(pod: Pod) -> None:
    """Leave every output that was promised."""
    pod.leave(**{name.replace(".", "_"): "hello\n" for name in pod.task.outputs})


def fail(words: str, code: int = 3) -> Behaviour:
    """Print the words, and fail with them."""

    def failing(pod: Pod) -> Ended:
        pod.print(words)
        return Ended(code=code, message=words)

    return failing


class Bench:
    """`does` says how the pods of a step behave, by the step's name; without a word they succeed at once.

    `begun` are the pods with a task that have begun, in their order.
    """

    def __init__(self, cluster: MemoryCluster, registry: str, base: Path, directory: Path) -> None:
        self.cluster = cluster
        self.registry = registry
        self.base = base
        self.directory = directory
        self.begun: list[Pod] = []
        self.serves: Callable[[Running], Ended | ContainerWaiting | None] = self._serve
        self.says_ready: SaysReady = at_once
        self._behaviours: dict[str, Behaviour] = {}
        self._numbers = itertools.count()
        self._open: list[KubernetesSession] = []
        self._targets: list[KubernetesTarget] = []

    def does(self, step: str, behaviour: Behaviour) -> None:
        """Have the pods of a step behave so, such as those of `run/clean`."""
        self._behaviours[step] = behaviour

    def program(self, running: Running) -> Ended | ContainerWaiting | None:
        """What runs in every pod of the cluster."""
        variables = {each["name"]: each.get("value") for each in running.pod["spec"]["containers"][0].get("env", [])}
        if TASK_VARIABLE not in variables:
            return self.serves(running)
        with tempfile.TemporaryDirectory() as output:
            pod = Pod(running, decode_task(variables[TASK_VARIABLE]), Path(output))
            self.begun.append(pod)
            return self._behaviours.get(pod.task.step, succeed)(pod)

    def start(self) -> None:
        """Switch the controllers of every cluster on."""
        # A test may say afterwards which pods are ready.
        self.cluster.run(*workloads(self.program, lambda pod: self.says_ready(pod)))  # noqa: PLW0108

    def target(self, application: str = APPLICATION, directory: Path | None = None, **options: Any) -> KubernetesTarget:
        """A target of an application, as the command line makes it."""
        given: dict[str, Any] = {"registry": self.registry, "base": f"rootfs:{self.base}", **options}
        made = KubernetesTarget(self.cluster.context, directory or self.directory, application, TargetOptions(**given))
        made.state.make()
        self._targets.append(made)
        return made

    def session(
        self, target: KubernetesTarget | None = None, request: RunRequest | None = None, run: str = "run-1"
    ) -> KubernetesSession:
        """A session that has begun, of this target or of a new one; with a request it excludes and joins others."""
        made = (target or self.target()).open(run, watch=False)
        self._open.append(made)
        made.begin(request)
        return made

    def close(self) -> None:
        """Close sessions and targets."""
        for session in self._open:
            session.close()
        for target in self._targets:
            target.close()

    def key(self) -> str:
        """A key that no step has yet."""
        return hashlib.sha256(f"{self.registry} {next(self._numbers)}".encode()).hexdigest()

    def step(self, part: str, work: Work, **settings: Any) -> AnyStep:
        """A step with a key of its own."""
        return Step(part=part, key=settings.pop("key", "") or self.key(), work=work, **settings)

    def command(self, part: str, *outputs: str, inputs: tuple[InputFile, ...] = (), **settings: Any) -> AnyStep:
        """A step that runs a command."""
        return self.step(part, RunCommand(command=f"python {part}.py", outputs=outputs, inputs=inputs), **settings)

    def training(self, part: str, workers: int = 1, framework: Framework = "none", **settings: Any) -> AnyStep:
        """A step that trains."""
        work = TrainGang(command="python train.py", framework=framework, size=workers)
        return self.step(part, work, **{"resources": WorkerResources(cpu=0.1), **settings})

    def find(self, kind: str, name: str, api_version: str = "v1", namespace: str = APPLICATION) -> Manifest | None:
        """An object as it stands."""
        return self.cluster.find(api_version, kind, name, namespace)

    def objects(self, kind: str, api_version: str = "v1", namespace: str = APPLICATION) -> list[str]:
        """Names of the objects of a kind."""
        return sorted(each["metadata"]["name"] for each in self.cluster.list(api_version, kind, namespace))

    def job(self, step: AnyStep) -> Manifest | None:
        """The Job of a step."""
        return self.find("Job", names.workload(APPLICATION, step), "batch/v1")

    def asked(self, method: str, part: str) -> int:
        """How many requests there were whose path has a part."""
        return sum(each.method == method and part in each.path for each in self.cluster.seen())

    @staticmethod
    def _serve(running: Running) -> None:
        running.stopped.wait()


class Carried:
    """An attempt that is carried out by a thread of its own. `seen` grows while it is."""

    def __init__(self, attempt: RunningAttempt) -> None:
        self.attempt = attempt
        self.seen: list[Observation] = []
        self._problem: list[BaseException] = []
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        try:
            for each in self.attempt:
                self.seen.append(each)
        except Exception as error:  # noqa: BLE001  # raised again where the test waits for the end
            self._problem.append(error)

    def reasons(self) -> list[str]:
        """What the attempt has waited for, in its order."""
        return reasons(self.seen)

    def end(self) -> AttemptEnded:
        """How it ended, once it has."""
        self._thread.join(40)
        assert not self._thread.is_alive(), self.seen
        if self._problem:
            raise self._problem[0]
        return end_in(self.seen)


def done(session: KubernetesSession, step: AnyStep) -> Carried:
    """Carry a step out, well."""
    carried = Carried(session.start(step, 1))
    end = carried.end()
    assert end.outcome == "done", end.reason
    return carried


def events(seen: list[Observation]) -> Iterator[RunEvent]:
    """The events of observations."""
    return (event for each in seen if (event := event_of(each)) is not None)


def reasons(seen: list[Observation]) -> list[str]:
    """What an attempt waited for, in its order."""
    return [event.reason for event in events(seen) if isinstance(event, Waiting)]


def end_in(seen: list[Observation]) -> AttemptEnded:
    """The last event, which says how an attempt ended."""
    last = event_of(seen[-1])
    assert isinstance(last, AttemptEnded)
    return last
