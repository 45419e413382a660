"""The JobSet operator for a cluster in memory: a webhook, a controller that leads, and what it makes of JobSets."""

from __future__ import annotations

from collections.abc import Callable

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers import JobSets
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_true, with_conditions
from plimsoll.kubernetes.memory.refusals import StatusError
from tests.capabilities.clusters.clock import LEASES
from tests.capabilities.clusters.nodes import Pod, Program, State
from tests.capabilities.clusters.scene import Scene

PLACE, HOOK, SERVICE = "jobset-system", "vjobset.kb.io", "jobset-webhook-service"
_LABELS = {"control-plane": "controller-manager"}
_JOBSETS = ("jobset.x-k8s.io", "jobsets")
Carry = Callable[[World, Manifest], None]


def as_wanted(world: World, found: Manifest) -> None:
    """What an honest operator does with a JobSet or one of its Jobs."""
    JobSets().reconcile(world, found, gone=False)


def called_done(world: World, found: Manifest) -> None:
    """What an operator does that only writes a status."""
    if found["kind"] == "JobSet" and not is_true(found, "Completed"):
        world.hand.set_status(found, {"conditions": with_conditions(found, condition("Completed"))})


def other_work(world: World, found: Manifest) -> None:
    """What an operator does whose pods run something else than the object says."""
    if found["kind"] == "JobSet":
        for each in found["spec"]["replicatedJobs"]:
            each["template"]["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", "true"]
    as_wanted(world, found)


class Operator:
    """Carries out JobSets while its pod runs.

    `learns` says whether a later pod does so too; `leader` leads instead, and "" elects nobody; `alone` needs no pod.
    """

    kinds = frozenset({_JOBSETS, ("batch", "jobs"), LEASES})

    def __init__(
        self, carry: Carry = as_wanted, *, learns: bool = True, leader: str | None = None, alone: bool = False
    ) -> None:
        self._carry = carry
        self._alone = alone
        self._learns = learns
        self._leader = leader
        self._first = ""

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        hand = world.hand
        leaders = [each["metadata"]["name"] for each in hand.list("v1", "Pod", PLACE) if is_true(each, "Ready")]
        if not leaders and not self._alone:
            return
        if leaders:
            self._first = self._first or leaders[0]
            if self._leader != "":
                _lead(world, self._leader or leaders[0])
        if not self._learns and self._first not in leaders:
            return
        for each in (*hand.list("jobset.x-k8s.io/v1alpha2", "JobSet"), *hand.list("batch/v1", "Job")):
            self._carry(world, each)


def _lead(world: World, pod: str) -> None:
    """Write the operator's lease in the name of a pod."""
    lease = world.hand.find("coordination.k8s.io/v1", "Lease", "leader", PLACE)
    holder = f"{pod}_1234"
    if lease is not None and lease["spec"]["holderIdentity"] == holder:
        return
    metadata = {"name": "leader", "namespace": PLACE}
    kept = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
    world.hand.put({**kept, "spec": {"holderIdentity": holder}})


class Webhook:
    """Refuses JobSets whose success policy names no job of theirs; `alone` is a webhook that needs no pod for it."""

    def __init__(self, scene: Scene, *, alone: bool = False, reason: str = "there is no job {word}") -> None:
        self._scene = scene
        self._alone = alone
        self._reason = reason

    def check(self, asked: Admission) -> str | None:
        """The answer to one object. Raises Refusal (500) while nobody is behind the webhook."""
        if asked.kind.resource != _JOBSETS or asked.object is None or asked.subresource or asked.verb != "create":
            return None
        if not self._alone and not any(is_true(each, "Ready") for each in self._scene.cluster.list("v1", "Pod", PLACE)):
            why = f'failed calling webhook "{HOOK}": no endpoints available for service "{SERVICE}"'
            raise StatusError(500, "InternalError", f"Internal error occurred: {why}")
        names = {each["name"] for each in asked.object["spec"]["replicatedJobs"]}
        wrong = [each for each in asked.object["spec"]["successPolicy"]["targetReplicatedJobs"] if each not in names]
        return self._reason.format(word=wrong[0]) if wrong else None


def declare(scene: Scene, configuration: str = "jobset-validating", service: str = SERVICE) -> None:
    """A configuration with the operator's webhook."""
    rule = {"apiGroups": [_JOBSETS[0]], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [_JOBSETS[1]]}
    client = {"service": {"name": service, "namespace": PLACE, "path": "/validate", "port": 443}}
    hook = {"name": HOOK, "clientConfig": client, "rules": [rule], "failurePolicy": "Fail"}
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    scene.cluster.put({**kind, "metadata": {"name": configuration}, "webhooks": [hook]})


def _manager(scene: Scene) -> Program:
    """The operator's pod: the first one runs at once, and a later one takes a few seconds to start."""
    began: dict[str, float] = {}

    def program(pod: Pod) -> State | None:
        if pod.namespace != PLACE:
            return None
        since = began.setdefault(pod.manifest["metadata"]["uid"], scene.clock.now if began else 0)
        return State.LASTS if scene.clock.now >= since + 5 else State.STARTS

    return program


def install(scene: Scene, operator: Operator | None = None, *, mortal: bool = False) -> None:
    """A node, and the operator's Deployment with its service; nothing starts the pod of a `mortal` one again."""
    scene.serve("jobset")
    scene.cluster.add_node("node-1")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": PLACE}}
    scene.cluster.put({**service, "spec": {"selector": _LABELS}})
    pod = {"containers": [{"name": "manager", "image": "jobset:1"}], "restartPolicy": "Always"}
    metadata = {"name": "jobset-controller-manager", "namespace": PLACE, "labels": _LABELS}
    if mortal:
        scene.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    else:
        template = {"metadata": {"labels": _LABELS}, "spec": pod}
        spec = {"replicas": 1, "selector": {"matchLabels": _LABELS}, "template": template}
        scene.cluster.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    scene.nodes.programs.insert(0, _manager(scene))
    scene.run(operator or Operator())


def jobset(scene: Scene) -> None:
    """The operator as it should be."""
    install(scene)
    declare(scene)
    scene.cluster.validate(Webhook(scene).check, HOOK)
