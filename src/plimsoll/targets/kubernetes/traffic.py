"""The traffic of a service on a cluster: weights of its route, or shares of its servers where it has no gateway."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from plimsoll.errors import PlimsollError, RequestError, TargetError
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.objects import has_condition
from plimsoll.runtime.server.service_file import ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.groups import PORT, ServedVersions
from plimsoll.targets.kubernetes.manifests.models import MODEL
from plimsoll.targets.kubernetes.manifests.sagemaker_endpoint import ENDPOINT
from plimsoll.targets.kubernetes.manifests.scaling import ACTIVATOR
from plimsoll.targets.kubernetes.manifests.serving import RECORD, objects
from plimsoll.targets.kubernetes.promotion_lease import PromotionLease
from plimsoll.targets.kubernetes.standing import records, where_led
from plimsoll.targets.kubernetes.work.cutover import lead_back, remove_obsolete
from plimsoll.targets.kubernetes.work.register import pushed, version_of
from plimsoll.targets.kubernetes.work.rollout import roll_out
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.stopping import StoppedWhen
from plimsoll.telemetry.version_counts import VersionCounts, added, counts_in

SPREAD = 5.0
"""Seconds within which proxies follow a change of weights; requests before that are counted to the former weights."""


def traffic_of(
    context: ClusterContext,
    model: str | None,
    service: str | None,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> ClusterTraffic:
    """The running service of a model. Raises PlimsollError when there is none, or several and none is named."""
    records = served_records(context)
    fitting = {each.service: each for each in records if model is None or model in _models_of(each)}
    if service is not None:
        fitting = {name: each for name, each in fitting.items() if name == service}
    if not fitting:
        of_model = f" of model {model}" if model else ""
        named = f" by the name {service}" if service else ""
        hint = f"start it with plimsoll run --target {context.cluster.target}"
        raise PlimsollError(f"no service{of_model} is on {context.cluster.target}{named}", hint=hint)
    if len(fitting) > 1:
        raise PlimsollError(f"several services have model {model}", hint=f"say --service: {', '.join(fitting)}")
    served = next(iter(fitting.values()))
    if context.chosen["serving"] == ENDPOINT:
        hint = "write the versions and their weights into the file, and run again: SageMaker leads requests over"
        text = f"the traffic of {served.service} is SageMaker's, and no promotion compares its versions"
        raise PlimsollError(text, hint=hint)
    return ClusterTraffic(context, served, model or min(_models_of(served)), say, stopped)


def _models_of(served: ServedVersions) -> set[str]:
    """What of a service has traffic that can be moved: the versions of an assistant's index are not among it."""
    return {file.name for file in served.file.models if file.name == served.file.models[0].name or not served.assists}


def served_records(context: ClusterContext) -> list[ServedVersions]:
    """What the application's services serve, as their records on the cluster say."""
    return [each.served for each in records(context.api, context.application, context.namespace)]


class ClusterTraffic:
    """One service. Behind a gateway a weight is a change of its route, which touches no server.

    Without a gateway every server shares the requests itself: each weight replaces the servers one by one.
    """

    def __init__(
        self,
        context: ClusterContext,
        served: ServedVersions,
        model: str,
        say: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._context = context
        self._served = self._before = served
        self.model = model
        self._say = say
        self._stopping = StoppedWhen(stopped)
        self._name = served.objects_name
        self._lease = PromotionLease(context.api, context.application, context.namespace, self._name, say)
        self._changed = False
        self._pages: dict[str, Mapping[str, VersionCounts]] = {}

    @property
    def service(self) -> str:
        """The service's name."""
        return self._served.service

    @property
    def where(self) -> str:
        """The service's place on the cluster."""
        return f"service {self._name} in namespace {self._context.namespace}"

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[bool]:
        """One promotion at a time, by a lease that holds what the service was."""
        cut_off = self._lease.take()
        with self._lease.kept():
            self._changed = cut_off is not None
            try:
                if cut_off is not None:
                    self._before = cut_off
                    self.restore()
                # Before the lease was ours, another promotion may have gone in.
                self._served = self._before = self._recorded()
                yield cut_off is not None
            finally:
                if self._changed:
                    # The lease is all that knows what the service was.
                    self._lease.give_up()
                else:
                    self._lease.release()

    def leading(self) -> str:
        """The version with the largest share; of one model without shares the newest."""
        return leading_of(self._served, self.model)

    def former(self) -> str | None:
        """The version before the last promotion, as the service's record has it."""
        return self._served.file.former.get(self.model)

    def add(self, old: str, new: str) -> None:
        """Push the new version, and have servers that serve it beside the old one."""
        version = version_of(f"{self.model}@{new}", None, self._context)
        reference = pushed(version, self._context)
        self._lease.remember(self._before)
        self._changed = True
        place = f"{MODEL}s/{new}"
        known = [each for each in self._served.file.models if each.version != new]
        # What answers for a version now answers for the next one: an ONNX model by itself, or the user's code.
        code = next((each.code for each in self._served.file.models if each.version == old), None)
        file = version_file(version, {name: Path(place, name) for name in version.files}, code)
        self._served = replace(
            self._served,
            models={**self._served.models, place: reference},
            file=replace(self._served.file, models=(*known, file)),
        )
        self._served = self._weighted(old, new, 0)
        # Where the rollout was stopped, the servers of before are those that answer.
        if self._roll_out():
            self._remove_obsolete()

    def weigh(self, old: str, new: str, weight: int) -> None:
        """Change the weights of the route, or the shares of the servers."""
        self._lease.renew()
        self._served = self._weighted(old, new, weight)
        if self._context.chosen["traffic"] != "gateway":
            self._roll_out()
            return
        for manifest in self._manifests():
            if manifest["kind"] == "HTTPRoute" or _is_record(manifest):
                self._context.own.apply(manifest)
        self._stopping.wait(SPREAD)

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        """The counters of all servers together. A server that is gone keeps what it was last seen with.

        So does one that has started anew: what it counts from then on is beside what it had counted.
        """
        self._lease.renew()
        for pod, page in pages_of(self._context.api, self._context, self._served.service, self.model).items():
            if _answered(page) < _answered(self._pages.get(pod, {})):
                self._pages[f"{pod} before {len(self._pages)}"] = self._pages[pod]
            self._pages[pod] = page
        every = list(self._pages.values())
        return {version: added(page[version] for page in every if version in page) for version in versions}

    def all_counts(self) -> Mapping[str, VersionCounts]:
        """The counters of the servers that there are now, together."""
        pages = pages_of(self._context.api, self._context, self._served.service, self.model).values()
        versions = dict.fromkeys(version for page in pages for version in page)
        return {version: added(page[version] for page in pages if version in page) for version in versions}

    def settle(self, old: str, new: str) -> None:
        """Serve the new version alone, and remove the servers of the old one once no request goes to them.

        It is decided by then, so that it goes on to its end when it is stopped.
        """
        self._lease.renew()
        self._stopping = StoppedWhen(lambda: False)
        models = tuple(each for each in self._served.file.models if each.version == new)
        places = frozenset[str]().union(*(each.places() for each in models))
        self._served = replace(
            self._served,
            file=replace(self._served.file, models=models, traffic={}, former={self.model: old}),
            models={place: each for place, each in self._served.models.items() if place in places},
            watched={number: each for number, each in self._served.watched.items() if number == new},
        )
        self._roll_out()
        self._remove_obsolete()
        self._ended()

    def restore(self) -> None:
        """Serve what was served before, with its weights. It goes on to its end when it is stopped.

        Behind a gateway requests go back at once; the servers of before may need a while to start.
        """
        if not self._changed:
            return
        self._lease.renew()
        self._served = self._before
        self._stopping = StoppedWhen(lambda: False)
        if self._context.chosen["traffic"] == "gateway":
            shares = self._before.file.traffic.get(self.model, ())
            weights = {share.version: share.weight for share in shares} or {self.leading(): 100}
            lead_back(self._context, self.service, self._name, weights)
        self._roll_out()
        self._remove_obsolete()
        self._ended()

    def _ended(self) -> None:
        """Nothing is to be undone any more."""
        self._lease.forget()
        self._changed = False

    def _recorded(self) -> ServedVersions:
        """What the service serves now, as its record says."""
        found = next((each for each in served_records(self._context) if each.service == self.service), None)
        if found is None or self.model not in _models_of(found):
            raise TargetError(
                f"the service {self.service} does not serve model {self.model} any more",
                where=self.where,
                hint="plimsoll status",
            )
        return found

    def _weighted(self, old: str, new: str, weight: int) -> ServedVersions:
        """The same service with other weights; other versions keep their headers and shadows, and have no weight."""
        traffic = self._served.file.traffic
        shares = (Share(version=old, weight=100 - weight), Share(version=new, weight=weight))
        others = [each for each in traffic.get(self.model, ()) if each.version not in (old, new)]
        kept = [replace(each, weight=0) for each in others if each.headers or each.shadow]
        file: ServiceFile = replace(self._served.file, traffic={**traffic, self.model: (*shares, *kept)})
        return replace(self._served, file=file)

    def _manifests(self) -> list[Manifest]:
        # Requests may have gone to a standby, or come back from it, since this began.
        served = where_led(self._context.api, self._served, self._context.namespace)
        return objects(served, self._context.cluster, self._context.chosen)

    def _roll_out(self) -> bool:
        """Have the cluster as `_served` says; gives whether that is done, and not stopped half way."""
        waits = roll_out(self._context, self._served.key, self._manifests(), self._stopping)
        while True:
            try:
                self._say(f"waiting: {next(waits)}")
            except StopIteration as end:
                if end.value is not None and end.value.state == "failed":
                    raise TargetError(end.value.reason, where=self.where, hint="plimsoll status") from None
                return end.value is None
            self._lease.renew()

    def _remove_obsolete(self) -> None:
        remove_obsolete(self._context, self._served.service, self._manifests(), self._stopping)


def pages_of(api: Api, context: ClusterContext, service: str, model: str) -> Mapping[str, Mapping[str, VersionCounts]]:
    """The counters of each server that answers, by the pod's name. One that is not ready is not asked."""
    selector = names.selector({**names.of_application(context.application), names.SERVICE: service})
    found = {}
    for pod in api.list("v1", "Pod", context.namespace, f"{selector},{names.VERSION}!={ACTIVATOR}"):
        if not has_condition(pod, "Ready"):
            continue
        name = pod["metadata"]["name"]
        place = f"/api/v1/namespaces/{context.namespace}/pods/{name}:{PORT}/proxy/metrics"
        try:
            found[name] = counts_in(api.request("GET", place, raw=True), model)
        except (ApiError, RequestError) as error:
            if isinstance(error, ApiError) and error.lacks is not None:
                raise
    return found


def leading_of(served: ServedVersions, model: str) -> str:
    """The version of a model with the largest share; of one without shares the newest."""
    shares = served.file.traffic.get(model, ())
    if shares:
        return max(shares, key=lambda share: share.weight).version
    return max((file.version for file in served.file.models if file.name == model), key=int)


def _is_record(manifest: Manifest) -> bool:
    return bool(manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"].endswith(RECORD))


def _answered(page: Mapping[str, VersionCounts]) -> float:
    """The requests that a server has answered, of all versions together."""
    return sum(sum(counts.codes.values()) for counts in page.values())
