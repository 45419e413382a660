"""The table of add-ons, and their installation."""

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
    """The images and manifests of an add-on whose programs are built.

    `stages` are applied in order, so that custom resource definitions come before their objects. `ready` lists
    workloads as (namespace, "deployment/name"). `finish` runs after they are ready.
    """

    images: Sequence[Image]
    stages: Sequence[Sequence[upstream.Manifest]]
    ready: Sequence[tuple[str, str]]
    finish: Callable[[], None] | None = None


@dataclass(frozen=True)
class Addon:
    """An entry of the table: summary, components to build, needed add-ons, and the module of its content.

    `module` is a module of this package. A function there, called like the add-on, returns the AddonContent.
    """

    summary: str
    components: tuple[str, ...]
    module: str
    needs: tuple[str, ...] = ()
    # Add-ons that it uses if they are installed or requested with it. They come first; the function gets their names.
    optional: tuple[str, ...] = ()
    # Whether its webhooks refuse objects of others while it does not run. Such an add-on is installed last.
    blocks_others: bool = False


ADDONS = {
    "jobset": Addon("groups of jobs that start and fail together", ("jobset",), "gangs"),
    "kueue": Addon(
        "queues and quotas; admits a gang completely or not at all", ("kueue",), "gangs", blocks_others=True
    ),
    "metrics-server": Addon("CPU and memory of pods, for kubectl top and the HPA", ("metrics-server",), "metrics"),
    "prometheus": Addon(
        "the Prometheus operator, and a Prometheus that scrapes every monitor",
        ("prometheus-operator", "prometheus"),
        "metrics",
    ),
    "custom-metrics": Addon(
        "Prometheus series as custom metrics for the HPA (prometheus-adapter)",
        ("prometheus-adapter",),
        "metrics",
        needs=("prometheus",),
    ),
    "autoscaler": Addon("Karpenter, with 0 to 3 real nodes that have accelerators", ("karpenter",), "autoscaler"),
    "keda": Addon("KEDA: scales workloads to zero and back (ScaledObject)", ("keda",), "scaling"),
    "inference-extension": Addon(
        "the Gateway API InferencePool and its endpoint picker, behind Envoy Gateway",
        ("inference-extension", "pool-routing"),
        "inference",
        needs=("gateway",),
    ),
    "registry": Addon("an OCI registry that every node pulls from", ("registry",), "storage"),
    "minio": Addon("MinIO: S3 object storage", ("minio",), "storage"),
    "trainer": Addon("Kubeflow Trainer: TrainJob", ("trainer",), "operators", needs=("jobset",), blocks_others=True),
    "kuberay": Addon("KubeRay: the operator for Ray clusters and jobs", ("kuberay",), "operators"),
    "kserve": Addon("KServe: InferenceService as plain Deployments", ("kserve",), "serving", optional=("gateway",)),
    "gvisor": Addon("RuntimeClass gvisor: pods on a user-space kernel", ("gvisor",), "sandbox"),
    "gatekeeper": Addon("Gatekeeper: admission by Rego policies", ("gatekeeper",), "policy", blocks_others=True),
    "gateway": Addon("the Gateway API with Envoy Gateway and Envoy", ("envoy-gateway", "helm"), "gateway"),
}

# The add-ons for tests of gangs, traffic, metrics, autoscaling and images. The others are built on demand.
TESTED = ("jobset", "kueue", "prometheus", "custom-metrics", "autoscaler", "gateway", "registry")


def components_of(names: Sequence[str]) -> list[str]:
    """The components to build for add-ons and for the add-ons that they need."""
    return [component for name in _resolve(names) for component in ADDONS[name].components]


def _resolve(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if name not in ADDONS:
            raise LabError(f"unknown add-on '{name}'; known add-ons: {', '.join(ADDONS)}")
        first = (*ADDONS[name].needs, *(each for each in ADDONS[name].optional if each in names))
        found += [each for each in (*_resolve(first), name) if each not in found]
    return found


def images_of(names: Sequence[str]) -> list[Image]:
    """The images of built add-ons and of the add-ons that they need."""
    return [image for name in _resolve(names) for image in _content(name).images]


def install(names: Sequence[str], say: Say) -> None:
    """Builds and installs add-ons, and waits for them. It does not apply an add-on again whose sources are the same."""
    wanted = _resolve(names)
    for component in components_of(wanted):
        cache.ensure(BY_NAME[component], say)
    # Ordinary add-ons start together, which saves time. Blocking ones start one by one, as each would refuse the next.
    others = [name for name in wanted if not ADDONS[name].blocks_others]
    for group in (others, *([name] for name in wanted if ADDONS[name].blocks_others)):
        for name in group:
            _apply(name, _content(name))
        for name in group:
            _wait(_content(name))
            say(f"{name} is ready")


def wait_for_blocking() -> None:
    """Waits for installed add-ons that block others. One whose node has just come back refuses all objects."""
    for name in installed():
        if ADDONS[name].blocks_others:
            for namespace, workload in _recorded_workloads(name):
                wait_for_rollout(namespace, workload)


def repair(name: str) -> None:
    """Restarts the parts of an installed add-on that do not run, and waits for them."""
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
        wait(f"the API server to accept {name}", lambda text=text: _webhook_failure(text), _WEBHOOK_LIMIT)  # type: ignore[misc]  # mypy cannot infer such lambdas
    write(mark, noted)


def _recorded_workloads(name: str) -> list[tuple[str, str]]:
    """The workloads of an installed add-on, from its record. Finding them in upstream's files would take seconds."""
    return [(namespace, workload) for namespace, workload in json.loads((_folder() / name).read_text())["ready"]]


def _webhook_failure(text: str) -> str | None:
    """A temporary refusal by a webhook: a blocking add-on of an earlier `up` refuses everything until it runs."""
    try:
        apply(text, limit=180)
    except LabError as error:
        if "failed calling webhook" in str(error):
            return str(error)
        raise WaitAborted(str(error)) from None
    return None


def installed() -> list[str]:
    """The names of the installed add-ons."""
    return sorted(path.name for path in _folder().glob("*")) if _folder().is_dir() else []


def _folder() -> Path:
    return layout.FOLDER / "addons"
