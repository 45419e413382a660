"""A Kubernetes context as a target."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll import __version__
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError, TargetError
from plimsoll.kubernetes.access import Access
from plimsoll.kubernetes.api import Api, Manifest, RightsAdvice
from plimsoll.kubernetes.cluster import Cluster, RegistryPlace
from plimsoll.kubernetes.discovery import PUBLISHED, look
from plimsoll.kubernetes.kubeconfig import namespace_of
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.facts import Machine, TargetFacts
from plimsoll.planning.steps import AnyStep, Plan
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.extras import missing_extras
from plimsoll.targets.features import (
    ABSENCE,
    CALL,
    CURVES,
    EXCHANGE,
    KEEP,
    LEAVINGS,
    MANIFESTS,
    PLAN_CHECK,
    RIGHTS,
    ROWS,
    SCHEDULE,
    TRAFFIC,
    USES,
    CalledService,
    Features,
    VersionUse,
    feature_table,
    offers,
)
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.absence import absence
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.calling import called
from plimsoll.targets.kubernetes.claims import CLEAN
from plimsoll.targets.kubernetes.cleanup import remove, services
from plimsoll.targets.kubernetes.drift import drift_of
from plimsoll.targets.kubernetes.exchange import ClusterExchange
from plimsoll.targets.kubernetes.identity import identity_problems, pod_account
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.lacks import lacks
from plimsoll.targets.kubernetes.leavings import ClusterLeavings
from plimsoll.targets.kubernetes.manifests.isolation import isolation_facts
from plimsoll.targets.kubernetes.manifests.sagemaker import sagemaker_place, sagemaker_problems
from plimsoll.targets.kubernetes.manifests.sagemaker_endpoint import endpoint_problems
from plimsoll.targets.kubernetes.node_notes import node_notes
from plimsoll.targets.kubernetes.plan_check import problems, require_namespace
from plimsoll.targets.kubernetes.promotion_lease import PromotionLease
from plimsoll.targets.kubernetes.providers import (
    NEEDS,
    PRINT_RIGHTS,
    Choice,
    choose,
    needs,
    never_zero,
    unknown_preferences,
)
from plimsoll.targets.kubernetes.registry_tunnel import RegistryTunnel
from plimsoll.targets.kubernetes.render import rendered
from plimsoll.targets.kubernetes.results import RegistryResults
from plimsoll.targets.kubernetes.rights import Need, needs_of, why
from plimsoll.targets.kubernetes.roles import Subjects, roles
from plimsoll.targets.kubernetes.rows import ClusterRows
from plimsoll.targets.kubernetes.run_lease import RunLease, run_lease, take_for_removal
from plimsoll.targets.kubernetes.scheduling import scheduled_objects
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.standing import notes, service_name, shares_of_service, unreachable
from plimsoll.targets.kubernetes.standing_waits import waits_of
from plimsoll.targets.kubernetes.traffic import ClusterTraffic, traffic_of
from plimsoll.targets.kubernetes.uses import version_uses
from plimsoll.targets.kubernetes.work import EXECUTORS
from plimsoll.targets.local.session import LocalSession
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import RunRequest, Session
from plimsoll.targets.versions import installed_version
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.vault.content_keys import ContentSealer

STAYS_UP = "services stay up there after plimsoll run"


class KubernetesTarget:
    """One application on one cluster."""

    def __init__(self, name: str, directory: Path, application: str, options: TargetOptions) -> None:
        if wrong := unknown_preferences(options.prefer):
            known = sorted({offer.name for offers in NEEDS.values() for offer in offers})
            raise FileError(
                f"there is no provider '{wrong[0]}'", where="--prefer", hint=f"there are: {', '.join(known)}"
            )
        if options.namespace is not None:
            require_namespace(options.namespace)
        self.name = name
        self.state = StateDirectory(directory, name)
        self._directory = directory
        self._application = application
        self._options = options

    @cached_property
    def namespace(self) -> str:
        """That of the command line, of the context, or the application's own."""
        return self._options.namespace or namespace_of(self.name) or names.short(self._application, 63)

    @cached_property
    def api(self) -> Api:
        """The cluster's API."""
        api = Api(self.name)
        api.advice = RightsAdvice(why=why, command=PRINT_RIGHTS)
        return api

    @cached_property
    def _access(self) -> Access:
        return Access(self.api)

    @cached_property
    def cluster(self) -> Cluster:
        """What the cluster has."""
        base = self._options.base or self._options.image
        registry, options = self._options.registry, self._options
        found = look(self.api, self.namespace, registry, base, self._access, is_foreign=self._is_anothers)
        account = pod_account(options.identity, found, self._application)
        place = sagemaker_place(options.sagemaker)
        return replace(found, identity=account, sagemaker=place, **({"barred": {}} if options.unbarred else {}))

    def _is_anothers(self, found: Manifest) -> bool:
        """Whether something of the namespace is another application's: its queue goes when that one goes."""
        return bool(
            (found["metadata"].get("labels") or {}).get(names.APPLICATION, self._application) != self._application
        )

    @cached_property
    def _tunnel(self) -> RegistryTunnel:
        return RegistryTunnel(self.api, self._registry(), self.namespace)

    @property
    def features(self) -> Features:
        """Services can be called, their traffic moved, manifests rendered, and the curves of trainings told."""
        carriers = feature_table(
            offers(CALL, self._call),
            offers(TRAFFIC, self._traffic),
            offers(MANIFESTS, self.manifests),
            offers(RIGHTS, self),
            offers(PLAN_CHECK, self._problems),
            offers(SCHEDULE, self._scheduled),
            offers(USES, self._uses),
            offers(LEAVINGS, self._leavings),
            offers(ROWS, self._rows),
            offers(CURVES, self._curve),
            offers(EXCHANGE, ClusterExchange(self.state, self._registry, lambda: self._results, lambda: self._images)),
            offers(ABSENCE, lambda: absence(self.api)),
        )
        return Features(self.name, carriers, {KEEP.name: STAYS_UP})

    def facts(self) -> TargetFacts:
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
        return TargetFacts(
            target=self.name,
            cpu=sum(each.cpu for each in machines) if machines else float("inf"),
            memory=sum(each.memory for each in machines) if machines else 2**62,
            accelerators=2**31 if "nodes" in cluster.unseen else sum(each.accelerators for each in machines),
            machines=machines,
            providers={need: f"{each.provider}: {each.why}" for need, each in chosen.items()}
            | node_notes(cluster, self._images.architectures),
            versions={"plimsoll": __version__, "onnxruntime": installed_version("onnxruntime")},
            lacks=lacks(never_zero(cluster, chosen["serving"].provider), chosen["traffic"].provider),
            missing_extras=missing_extras(),
            isolation=isolation_facts(cluster),
            verbs=frozenset(work.verb for work in EXECUTORS),
            knows_kinds=True,
        )

    def _curve(self, session: Session, step: AnyStep, series: str) -> Sequence[tuple[float, float]]:
        from plimsoll.targets.kubernetes.curves import read_series

        return read_series(self.state, step.key, series)

    def _call(self, file: ApplicationFile, service: str) -> contextlib.AbstractContextManager[CalledService]:
        return called(self.api, self.namespace, file, service)

    def _traffic(
        self, model: str | None, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> ClusterTraffic:
        return traffic_of(self._context("promote"), model, service, say, stopped)

    def _uses(self) -> Sequence[VersionUse]:
        return version_uses(self.api, self._application, self.namespace)

    @property
    def _leavings(self) -> ClusterLeavings:
        return ClusterLeavings(
            lambda: self.api,
            self._application,
            lambda: self.namespace,
            lambda: self._results,
            lambda say: self._lease(CLEAN, RunRequest(content="", say=say)),
        )

    @property
    def _rows(self) -> ClusterRows:
        return ClusterRows(
            lambda: self._results,
            self._leavings,
            # Runs and cleans keep out of its way as of a clean's.
            lambda say: self._lease(CLEAN, RunRequest(content="", say=say)),
        )

    def _problems(self, plan: Plan) -> Sequence[Shortfall]:
        options, cluster = self._options, self.cluster
        return (
            *identity_problems(options.identity, cluster, options.called),
            *sagemaker_problems(plan, cluster, self._providers()),
            *endpoint_problems(plan, self._providers()),
            *problems(plan, cluster, {need: each.provider for need, each in self._chosen().items()}),
        )

    def missing(self, plan: Plan) -> Sequence[str]:
        """The rights that a run of the plan would lack, each with what it is for."""
        needed = [need for need in self._needs(plan) if not need.later]
        lacking = self._access.lacking(need.act for need in needed)
        whys = {need.act: need.why for need in needed}
        return [f"{act}{f': {whys[act]}' if whys[act] else ''}" for act in lacking]

    def roles(self, plan: Plan, users: Sequence[str], groups: Sequence[str]) -> Sequence[Manifest]:
        """RBAC objects with exactly the rights of a plan. Who asks need not have any of them."""
        subjects = Subjects(users=tuple(users), groups=tuple(groups))
        if not users and not groups and (own := self._access.user()):
            subjects = Subjects(users=(own,))
        name = f"plimsoll-{names.short(self.namespace, 63)}"
        return roles(self._needs(plan), subjects, name)

    def _needs(self, plan: Plan) -> Sequence[Need]:
        chosen = {need: each.provider for need, each in self._chosen().items()}
        published = not (self._options.registry and (self._options.base or self._options.image))
        return needs_of(plan, self.cluster, chosen, published=published)

    def open(self, run: str, *, watch: bool) -> KubernetesSession:
        """A session for one run. Services stay up whether it watches or not."""
        return KubernetesSession(self._context(run))

    def manifests(self, plan: Plan) -> list[Manifest]:
        """All that keeps running, for a repository that a GitOps controller follows: services with their objects.

        Their images and models are in the registry afterwards, and are named by digest. Raises TargetError for a
        service whose model has not been trained yet.
        """
        return rendered(self._context("render"), plan)

    def _scheduled(
        self, file: ApplicationFile, plan: Plan, schedule: str, settings: Sequence[str], steps: Sequence[str]
    ) -> Sequence[Manifest]:
        return scheduled_objects(
            file,
            plan,
            schedule,
            api=self.api,
            cluster=self.cluster,
            images=self._images,
            options=self._options,
            settings=settings,
            steps=steps,
            roles=lambda account: self.roles(plan, (account,), ()),
        )

    def services(self) -> Mapping[str, str]:
        """Services that are up: that have servers, and all that leads requests to them."""
        found = services(self.api, self._application, self.namespace)
        lost = self.problems() if found else {}
        return {service: address for service, address in found.items() if service not in lost}

    def problems(self) -> Mapping[str, str]:
        """Services to which no request leads, for something of them is gone."""
        return unreachable(self.api, self._application, self.cluster, self._providers())

    def service_notes(self, service: str) -> Sequence[str]:
        """The shares of its versions; whether a promotion goes on or was cut off, or what is not as it should be."""
        name = service_name(self.api, self._application, self.namespace, service)
        shares = shares_of_service(self.api, self._application, self.namespace, service)
        if note := PromotionLease(self.api, self._application, self.namespace, name).note():
            return (note, *shares)
        return (*notes(self.api, self._application, service, self.cluster, self._providers()), *shares)

    def run_note(self) -> str:
        """Whose run goes on, from its lease."""
        return self._lease("status", RunRequest(content="")).note()

    def waits(self) -> Sequence[str]:
        """Why the namespace does not end that is being deleted, and why servers are not ready."""
        return waits_of(self.api, self._application, self.namespace)

    def drift(self, service: str) -> Sequence[DriftState]:
        """The drift of a service's versions, as all its servers together have seen them."""
        return drift_of(self.api, self._application, self.namespace, service)

    def remove(
        self,
        say: Callable[[str], None] = lambda _: None,
        *,
        force: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> list[str]:
        """Delete all of the application from the cluster. What is in the registry stays.

        Nobody's run begins meanwhile: the application's lease is held until the end.
        """
        lease = self._lease("down", RunRequest(content="", say=waiting))
        try:
            take_for_removal(lease, self.api, self.namespace, force=force)
            return remove(self.api, self._application, self.namespace, say, lease.reference)
        finally:
            lease.end()

    def close(self) -> None:
        """Close the tunnel to the registry, if it was opened, and connections."""
        if "_results" in self.__dict__:
            self._results.close()
        if "_tunnel" in self.__dict__:
            self._tunnel.close()
        if "api" in self.__dict__:
            self.api.close()

    def _context(self, run: str) -> ClusterContext:
        return ClusterContext(
            api=self.api,
            cluster=self.cluster,
            application=self._application,
            directory=self._directory,
            state=self.state,
            local=LocalSession(self._directory, run, state=self.state),
            results=self._results,
            images=self._images,
            run=run,
            chosen=self._providers(),
            lease=self._lease(run, RunRequest(content="")),
        )

    def _lease(self, run: str, request: RunRequest) -> RunLease:
        return run_lease(self.api, self._application, self.namespace, self.state, run, request)

    def _providers(self) -> dict[str, str]:
        return {need: each.provider for need, each in self._chosen().items()}

    def _chosen(self) -> dict[str, Choice]:
        prefer, by_file = self._options.prefer, self._options.sagemaker is not None
        # Whoever writes how it is used in the file wants it used, unless the command line says otherwise.
        if by_file and "pods" not in prefer:
            prefer = (*prefer, "sagemaker")
        if self._options.sagemaker is not None and self._options.sagemaker.serve:
            prefer = (*prefer, "endpoint")
        try:
            return {need: choose(self.cluster, need, prefer) for need in needs(self.cluster, prefer)}
        except FileError as error:
            if not by_file or not error.message.startswith(("sagemaker ", "endpoint ")):
                raise
            hint = "install the ACK controller of SageMaker, or remove it: trainings then run in pods"
            raise FileError(error.message, where=f"spec.targets.{self._options.called}.sagemaker", hint=hint) from error

    @property
    def _path(self) -> str:
        return names.short(self._application, 63)

    @cached_property
    def _images(self) -> Images:
        place, tunnel = self._registry(), self._tunnel
        keys = KeyRing.default()
        return Images(self.cluster, place, tunnel.host, tunnel.access, self._path, self._directory, keys)

    @cached_property
    def _results(self) -> RegistryResults:
        """The application's results, by connections that all sessions share."""
        place = self._registry()
        reference = parse_reference(f"{self._tunnel.host}/{self._path}/results")
        repository = Repository(reference, self._tunnel.access, self._sealer())
        return RegistryResults(repository, place, f"{self._path}/results", self._options.secret)

    def _sealer(self) -> ContentSealer | None:
        """What encrypts results in the registry; None where they are in clear. Raises KeyProblem."""
        if not self._options.secret or self._options.key is None:
            return None
        from plimsoll.vault.content_keys import ContentSealer

        return ContentSealer.of(self._options.key)

    def _registry(self) -> RegistryPlace:
        place = self.cluster.registry
        if place is None:
            hint = (
                "name one that nodes, pods and this machine reach with --registry HOST/PATH, or publish it in the "
                "cluster (ConfigMap local-registry-hosting in kube-public, KEP-1755)"
            )
            unseen = f": you may not get {PUBLISHED}" if PUBLISHED in self.cluster.unseen else ""
            text = f"no registry for images, models and results is known{unseen}"
            raise TargetError(text, where=self.name, hint=hint)
        return place
