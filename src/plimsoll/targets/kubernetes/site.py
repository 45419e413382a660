"""A Kubernetes context as a place where applications are carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from plimsoll import __version__
from plimsoll.errors import FileError, TargetError
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.cluster import Cluster, RegistryPlace
from plimsoll.kubernetes.discovery import look
from plimsoll.planning.facts import Facts, Machine
from plimsoll.planning.steps import Plan, Register, Serve, Step
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.context import Context
from plimsoll.targets.kubernetes.drifting import drift_of
from plimsoll.targets.kubernetes.housekeeping import remove, services
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.providers import NEEDS, Choice, choose, needs, never_zero, unknown_preferences
from plimsoll.targets.kubernetes.registry_tunnel import Door
from plimsoll.targets.kubernetes.render import rendered
from plimsoll.targets.kubernetes.results import Results
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.local.target import LocalTarget, finished
from plimsoll.targets.local.versions import installed_version
from plimsoll.targets.options import Options
from plimsoll.telemetry.drift.state import DriftState


class KubernetesSite:
    """One application on one cluster."""

    def __init__(self, target: str, directory: Path, application: str, options: Options) -> None:
        if wrong := unknown_preferences(options.prefer):
            known = sorted({offer.name for offers in NEEDS.values() for offer in offers})
            raise FileError(
                f"there is no provider '{wrong[0]}'", where="--prefer", hint=f"there are: {', '.join(known)}"
            )
        self.name = target
        self.state = StateDirectory(directory, target)
        self.namespace = options.namespace or names.short(application, 63)
        self._directory = directory
        self._application = application
        self._options = options

    @cached_property
    def api(self) -> Api:
        """The cluster's API."""
        return Api(self.name)

    @cached_property
    def cluster(self) -> Cluster:
        """What the cluster has."""
        return look(self.api, self.namespace, self._options.registry, self._options.base)

    @cached_property
    def _door(self) -> Door:
        return Door(self.api, self._registry())

    def facts(self) -> Facts:
        """All nodes together, each by itself, and what carries which need."""
        cluster = self.cluster
        chosen = self._chosen()
        resource = cluster.accelerator
        machines = tuple(
            Machine(
                name=node.name,
                cpu=node.cpu,
                memory=node.memory,
                accelerators=node.extended.get(resource or "", 0),
            )
            for node in cluster.nodes
        )
        return Facts(
            target=self.name,
            cpu=sum(each.cpu for each in machines) if machines else float("inf"),
            memory=sum(each.memory for each in machines) if machines else 2**62,
            accelerators=sum(each.accelerators for each in machines),
            machines=machines,
            providers={need: f"{each.provider}: {each.why}" for need, each in chosen.items()},
            versions={"plimsoll": __version__, "onnxruntime": installed_version("onnxruntime")},
            never_zero=never_zero(cluster, chosen["serving"].provider),
        )

    def _chosen(self) -> dict[str, Choice]:
        prefer = self._options.prefer
        return {need: choose(self.cluster, need, prefer) for need in needs(self.cluster, prefer)}

    def finished(self, step: Step) -> bool:
        """Whether the step's result is in the cluster's registry."""
        if isinstance(step.work, Register):
            return finished(self.state, step) is not None
        if isinstance(step.work, Serve):
            from plimsoll.targets.kubernetes.work.serve import is_up

            return is_up(self.api, self._application, self.namespace, step.key, step.work.service)
        return self._results().find(step.key) is not None

    def open(self, run: str, *, watch: bool) -> KubernetesTarget:
        """Begin a run."""
        return KubernetesTarget(self._context(run), self.facts())

    def manifests(self, plan: Plan) -> list[Manifest]:
        """All that stays on the cluster, for a repository that a GitOps controller follows: the services with what
        belongs to them. Their images and models are in the registry afterwards, and are named by digest.

        Raises TargetError for a service whose model has not been trained yet.
        """
        return rendered(self._context("render"), plan)

    def _context(self, run: str) -> Context:
        local = LocalTarget(self._directory, run, state=self.state)
        place = self._registry()
        return Context(
            api=self.api,
            cluster=self.cluster,
            application=self._application,
            directory=self._directory,
            state=self.state,
            local=local,
            results=self._results(),
            images=Images(self.cluster, place, self._door.host, self._door.access, self._path, self._directory),
            run=run,
            logs=self.state.runs / run / "logs",
            chosen={need: each.provider for need, each in self._chosen().items()},
        )

    def services(self) -> Mapping[str, str]:
        """Services that are up."""
        return services(self.api, self._application, self.namespace)

    def service_file(self, service: str) -> Path | None:
        """None: weights stand in the route."""
        return None

    def drift(self, service: str) -> Sequence[DriftState]:
        """How a service's versions stand, as all its servers together have seen them."""
        return drift_of(self.api, self._application, self.namespace, service)

    def remove(self) -> list[str]:
        """Delete all of the application from the cluster. What lies in the registry stays."""
        return remove(self.api, self._application, self.namespace)

    def close(self) -> None:
        """Shut the way to the registry, if it was opened."""
        if "_door" in self.__dict__:
            self._door.close()
        if "api" in self.__dict__:
            self.api.close()

    @property
    def _path(self) -> str:
        return names.short(self._application, 63)

    def _results(self) -> Results:
        place = self._registry()
        reference = parse_reference(f"{self._door.host}/{self._path}/results")
        return Results(Repository(reference, self._door.access), place, f"{self._path}/results")

    def _registry(self) -> RegistryPlace:
        place = self.cluster.registry
        if place is None:
            hint = (
                "name one that nodes, pods and this machine reach with --registry HOST/PATH, or publish it in the "
                "cluster (ConfigMap local-registry-hosting in kube-public, KEP-1755)"
            )
            raise TargetError("no registry for images, models and results is known", where=self.name, hint=hint)
        return place
