"""The add-ons by name, and how one is installed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache as cache_results
from importlib import import_module
from pathlib import Path

from lab import layout, nodes
from lab.addons import upstream
from lab.build import cache
from lab.build.components import BY_NAME
from lab.documents import json_list
from lab.errors import LabError
from lab.files import write
from lab.images import store
from lab.images.archive import Image
from lab.kubectl import WaitAborted, apply, wait, wait_for_rollout

Say = Callable[[str], None]
_WEBHOOK_LIMIT = 120.0


@dataclass(frozen=True)
class AddonContent:
    """What an add-on consists of once its programs are built.

    `stages` are applied in order: custom resource definitions before objects of them. `ready` are workloads as
    (namespace, "deployment/name"); `finish` is called once they are ready.
    """

    images: Sequence[Image]
    stages: Sequence[Sequence[upstream.Manifest]]
    ready: Sequence[tuple[str, str]]
    finish: Callable[[], None] | None = None


@dataclass(frozen=True)
class Addon:
    """An add-on: what it is, what is built for it, what it needs, and its room (a module with `prepare`)."""

    summary: str
    components: tuple[str, ...]
    module: str
    needs: tuple[str, ...] = ()
    # Not needed, but used where it is installed or asked for together: it comes first, and `prepare` is told.
    optional: tuple[str, ...] = ()
    # Its webhooks refuse other people's objects for as long as it does not run: it comes after all others.
    blocks_others: bool = False


ADDONS = {
    "jobset": Addon("groups of jobs that start and fail together", ("jobset",), "gangs"),
    "kueue": Addon("queues and quotas; admits a gang whole or not at all", ("kueue",), "gangs", blocks_others=True),
    "metrics-server": Addon("CPU and memory of pods, for kubectl top and the HPA", ("metrics-server",), "metrics"),
    "prometheus": Addon(
        "the Prometheus operator and a Prometheus for every monitor", ("prometheus-operator", "prometheus"), "metrics"
    ),
    "custom-metrics": Addon(
        "Prometheus' series as custom metrics for the HPA (prometheus-adapter)",
        ("prometheus-adapter",),
        "metrics",
        needs=("prometheus",),
    ),
    "autoscaler": Addon("Karpenter, with real nodes of the accelerated group, 0 to 3", ("karpenter",), "autoscaler"),
    "keda": Addon("KEDA: workloads to zero and back (ScaledObject)", ("keda",), "scaling"),
    "inference-extension": Addon(
        "the Gateway API's InferencePool and its endpoint picker, behind Envoy Gateway",
        ("inference-extension", "pool-routing"),
        "inference",
        needs=("gateway",),
    ),
    "registry": Addon("an OCI registry that every node pulls from", ("registry",), "storage"),
    "minio": Addon("S3", ("minio",), "storage"),
    "trainer": Addon("Kubeflow Trainer: TrainJob", ("trainer",), "operators", needs=("jobset",), blocks_others=True),
    "kuberay": Addon("the operator of Ray clusters and jobs", ("kuberay",), "operators"),
    "kserve": Addon("KServe: InferenceService, as plain Deployments", ("kserve",), "serving", optional=("gateway",)),
    "gvisor": Addon("RuntimeClass gvisor: pods on a kernel in user space", ("gvisor",), "sandbox"),
    "gatekeeper": Addon("admission by Rego policies", ("gatekeeper",), "policy", blocks_others=True),
    "gateway": Addon("the Gateway API by Envoy Gateway and Envoy", ("envoy-gateway", "helm"), "gateway"),
}

# What gangs, traffic, metrics, autoscaling and images need; the rest is built on demand.
TESTED = ("jobset", "kueue", "metrics-server", "prometheus", "custom-metrics", "autoscaler", "gateway", "registry")


def components_of(names: Sequence[str]) -> list[str]:
    """What has to be built for add-ons, needed ones included."""
    return [component for name in _resolve(names) for component in ADDONS[name].components]


def _resolve(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if name not in ADDONS:
            raise LabError(f"there is no add-on '{name}'; there are: {', '.join(ADDONS)}")
        first = (*ADDONS[name].needs, *(each for each in ADDONS[name].optional if each in names))
        found += [each for each in (*_resolve(first), name) if each not in found]
    return found


def images_of(names: Sequence[str]) -> list[Image]:
    """The images of add-ons whose programs are built, needed ones included."""
    return [image for name in _resolve(names) for image in _content(name).images]


def install(names: Sequence[str], say: Say) -> None:
    """Builds, installs and waits for add-ons. What was installed from the same sources before is only waited for."""
    wanted = _resolve(names)
    for component in components_of(wanted):
        cache.ensure(BY_NAME[component], say)
    # Applied all together first: their start-up times overlap. Guards one by one: each would refuse the next.
    others = [name for name in wanted if not ADDONS[name].blocks_others]
    for group in (others, *([name] for name in wanted if ADDONS[name].blocks_others)):
        for name in group:
            _apply(name, _content(name))
        for name in group:
            _wait(_content(name))
            say(f"{name} is ready")


def wait_for_guards() -> None:
    """Waits for the guards of earlier calls: one whose node has just come back refuses everybody's objects."""
    for name in installed():
        if ADDONS[name].blocks_others:
            for namespace, workload in _recorded_workloads(name):
                wait_for_rollout(namespace, workload)


def repair(name: str) -> None:
    """Starts again what of an installed add-on does not run, and waits for it."""
    _wait(_content(name))


def _wait(prepared: AddonContent) -> None:
    for namespace, workload in prepared.ready:
        wait_for_rollout(namespace, workload)
    if prepared.finish is not None:
        prepared.finish()


def _content(name: str) -> AddonContent:
    return _content_with(name, frozenset(ADDONS[name].optional).intersection(installed()))


@cache_results
def _content_with(name: str, used: frozenset[str]) -> AddonContent:
    prepare = getattr(import_module(f"lab.addons.{ADDONS[name].module}"), name.replace("-", "_"))
    prepared: AddonContent = prepare(used) if ADDONS[name].optional else prepare()
    return prepared


def _apply(name: str, prepared: AddonContent) -> None:
    files = store.load_everywhere(prepared.images, nodes.all_nodes())
    digest = hashlib.sha256(json.dumps([files, prepared.stages], default=str, sort_keys=True).encode()).hexdigest()
    mark = _folder() / name
    noted = json.dumps({"digest": digest, "ready": prepared.ready})
    if mark.exists() and mark.read_text() == noted:
        return
    for stage in prepared.stages:
        text = json_list(stage)
        wait(f"{name} to be taken", lambda text=text: _webhook_failure(text), _WEBHOOK_LIMIT)  # type: ignore[misc]  # mypy cannot infer such lambdas
    write(mark, noted)


def _recorded_workloads(name: str) -> list[tuple[str, str]]:
    """An installed add-on's workloads, as noted when it was applied: to find them in upstream's files takes seconds."""
    return [(namespace, workload) for namespace, workload in json.loads((_folder() / name).read_text())["ready"]]


def _webhook_failure(text: str) -> str | None:
    """What stands in the way for the moment: a guard of an earlier `up` that is not back yet refuses everything."""
    try:
        apply(text, limit=180)
    except LabError as error:
        if "failed calling webhook" in str(error):
            return str(error)
        raise WaitAborted(str(error)) from None
    return None


def installed() -> list[str]:
    """Names of the add-ons that have been applied."""
    return sorted(path.name for path in _folder().glob("*")) if _folder().is_dir() else []


def _folder() -> Path:
    return layout.FOLDER / "addons"
