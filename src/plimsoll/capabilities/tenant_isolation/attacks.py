"""Ways from one tenant to another, as data: what the attacker asks of the API server, and what its pods try. Pure.

In paths and bodies `{a}` is the attacker's namespace, `{b}` the victim's, `{node}` a node, `{accelerator}` a resource
of accelerators, `{image}` an image that the attacker may have. Whatever would change something is a dry run.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

DRY = {"dryRun": "All"}
OBJECTS, RIGHTS, PODS = "objects", "rights", "pods"
NETWORK, VOLUMES, QUOTA, IMAGES, WALLS = "network", "volumes", "quota", "images", "walls"
ACCELERATORS, KUEUE, DRA, METRICS = "accelerators", "kueue", "dra", "metrics"
CERTIFICATES = "certificates"
LEAST = 40
"""Ways that have to be tried for a verdict to mean anything."""


class Attack(Struct, frozen=True, kw_only=True):
    """One way. `way` is what has to hold it, `does` what it does, after "the attacker".

    `needs` is what the cluster has to have for it to be tried. Where `owner` is true, the victim's own people may do
    the same: the control that the request is a good one.
    """

    id: str
    way: str
    does: str
    method: str = "GET"
    path: str
    body: Mapping[str, object] | None = None
    parameters: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    form: str = "application/json"
    needs: str = ""
    owner: bool = False


MERGE = "application/merge-patch+json"
_CORE = "/api/v1/namespaces"
_RBAC = "rbac.authorization.k8s.io"
_RBAC_PATH = f"/apis/{_RBAC}/v1"


def _on(
    name: str, does: str, path: str, *, method: str = "GET", owner: bool = False, needs: str = "", **parameters: str
) -> Attack:
    """A request about the victim's objects that has no body."""
    changes = DRY if method != "GET" else {}
    return Attack(
        id=name,
        way=OBJECTS,
        does=does,
        method=method,
        path=path,
        parameters={**parameters, **changes},
        owner=owner,
        needs=needs,
    )


def _sent(
    name: str,
    does: str,
    path: str,
    body: Mapping[str, object],
    *,
    way: str = OBJECTS,
    method: str = "POST",
    form: str = "application/json",
    owner: bool = False,
    needs: str = "",
) -> Attack:
    """A request with a body, as a dry run."""
    return Attack(
        id=name,
        way=way,
        does=does,
        method=method,
        path=path,
        body=body,
        form=form,
        parameters=DRY,
        owner=owner,
        needs=needs,
    )


def thing(api_version: str, kind: str, name: str, **content: object) -> dict[str, object]:
    """A small object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}


_WORKER = {
    "name": "main",
    "image": "{image}",
    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


def pod(container: Mapping[str, object] | None = None, **spec: object) -> dict[str, object]:
    """A pod that the restricted Pod Security level takes, but for what is said here."""
    main = {**_WORKER, **(container or {})}
    return thing("v1", "Pod", "attack", spec={"restartPolicy": "Never", "containers": [main], **spec})


def _secured(**context: object) -> dict[str, object]:
    whole: Mapping[str, object] = _WORKER["securityContext"]  # type: ignore[assignment]  # one value of several types
    return {"securityContext": {**whole, **context}}


_MINE = {"kind": "ServiceAccount", "namespace": "{a}", "name": "plimsoll-tenant"}
_ADMIN = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
_EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
_OPEN = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
_POLICY = "networking.k8s.io/v1"
_POLICIES = f"/apis/{_POLICY}/namespaces"
_HOOK = {
    "name": "attack.plimsoll.dev",
    "clientConfig": {"url": "https://127.0.0.1:1/"},
    "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}],
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "failurePolicy": "Ignore",
}
_ADMISSION = "admissionregistration.k8s.io/v1"

READS = (
    _on("secret", "reads a secret", f"{_CORE}/{{b}}/secrets/ledger", owner=True),
    _on("secrets", "lists secrets", f"{_CORE}/{{b}}/secrets", owner=True),
    _on("secrets-of-all", "lists the secrets of all namespaces", "/api/v1/secrets"),
    _on("secrets-watched", "watches secrets", f"{_CORE}/{{b}}/secrets", owner=True, watch="1", timeoutSeconds="1"),
    _on("config", "reads a config map", f"{_CORE}/{{b}}/configmaps/rates", owner=True),
    _on("pods", "lists pods", f"{_CORE}/{{b}}/pods", owner=True),
    _on("pods-of-all", "lists the pods of all namespaces", "/api/v1/pods"),
    _on("log", "reads the log of a pod", f"{_CORE}/{{b}}/pods/till/log", owner=True),
    _on("events", "lists events", f"{_CORE}/{{b}}/events", owner=True),
    _on("claims", "lists volume claims", f"{_CORE}/{{b}}/persistentvolumeclaims", owner=True),
    _on("services", "lists services", f"{_CORE}/{{b}}/services", owner=True),
    _on("namespace", "reads the namespace", f"{_CORE}/{{b}}", owner=True),
    _on("quota", "reads the quota", f"{_CORE}/{{b}}/resourcequotas", owner=True),
    _on("leases", "lists leases", "/apis/coordination.k8s.io/v1/namespaces/{b}/leases", owner=True),
    _on("policies", "reads network policies", f"{_POLICIES}/{{b}}/networkpolicies", owner=True),
    _on("rights", "reads roles", f"{_RBAC_PATH}/namespaces/{{b}}/roles"),
    _on("queues", "reads queues", "/apis/kueue.x-k8s.io/v1beta1/namespaces/{b}/localqueues", owner=True, needs=KUEUE),
    _on("devices", "lists claims of accelerators", "/apis/resource.k8s.io/v1/namespaces/{b}/resourceclaims",
        owner=True, needs=DRA),
    _on("usage", "reads what pods use", "/apis/metrics.k8s.io/v1beta1/namespaces/{b}/pods", needs=METRICS),
)  # fmt: skip
"""Reading the victim's objects."""
ENTERS = (
    _on("exec", "runs a command in a pod", f"{_CORE}/{{b}}/pods/till/exec", command="id", stdout="1"),
    _on("attach", "attaches to a pod", f"{_CORE}/{{b}}/pods/till/attach", stdout="1"),
    _on("forward", "forwards a port of a pod", f"{_CORE}/{{b}}/pods/till/portforward", owner=True, ports="8080"),
    _on("pod-proxy", "reaches a pod through the API server", f"{_CORE}/{{b}}/pods/till:8080/proxy/hostname"),
    _on("service-proxy", "reaches a service through the API server", f"{_CORE}/{{b}}/services/till:80/proxy/hostname"),
    _sent(
        "debug",
        "adds a container to a pod",
        f"{_CORE}/{{b}}/pods/till/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "debug", "image": "{image}"}]}},
        method="PATCH",
        form="application/strategic-merge-patch+json",
    ),
    _sent(
        "token",
        "has a token made of an account",
        f"{_CORE}/{{b}}/serviceaccounts/plimsoll-tenant/token",
        thing("authentication.k8s.io/v1", "TokenRequest", "plimsoll-tenant", spec={"expirationSeconds": 600}),
    ),
)
"""Getting into what the victim runs."""
CHANGES = (
    _sent("pod-made", "makes a pod", f"{_CORE}/{{b}}/pods", pod(), owner=True),
    _sent(
        "job-made",
        "makes a job",
        "/apis/batch/v1/namespaces/{b}/jobs",
        thing(
            "batch/v1",
            "Job",
            "attack",
            spec={"template": {"spec": {"restartPolicy": "Never", "containers": [_WORKER]}}},
        ),
        owner=True,
    ),
    _sent("secret-made", "makes a secret", f"{_CORE}/{{b}}/secrets", thing("v1", "Secret", "attack"), owner=True),
    _sent(
        "config-changed",
        "changes a config map",
        f"{_CORE}/{{b}}/configmaps/rates",
        {"data": {"word": "other"}},
        method="PATCH",
        form=MERGE,
        owner=True,
    ),
    _sent(
        "lease-taken",
        "takes the lease of a run",
        "/apis/coordination.k8s.io/v1/namespaces/{b}/leases/till-run",
        {"spec": {"holderIdentity": "attacker"}},
        method="PATCH",
        form=MERGE,
        owner=True,
    ),
    _on("pod-deleted", "deletes a pod", f"{_CORE}/{{b}}/pods/till", method="DELETE", owner=True),
    _on("pods-deleted", "deletes all pods", f"{_CORE}/{{b}}/pods", method="DELETE"),
    _on("namespace-deleted", "deletes the namespace", f"{_CORE}/{{b}}", method="DELETE"),
    _sent(
        "evicted",
        "evicts a pod",
        f"{_CORE}/{{b}}/pods/till/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "till", "namespace": "{b}"}},
    ),
    _sent(
        "event-made",
        "makes an event, which others would read as the reason",
        f"{_CORE}/{{b}}/events",
        {
            **thing("v1", "Event", "attack", reason="Failed", message="attack", type="Warning"),
            "involvedObject": {"kind": "Pod", "namespace": "{b}", "name": "till"},
        },
    ),
    _on("wall-removed", "removes the network policy", f"{_POLICIES}/{{b}}/networkpolicies/plimsoll-tenant",
        method="DELETE"),
    _sent("wall-opened", "makes a network policy that opens everything", f"{_POLICIES}/{{b}}/networkpolicies",
          thing(_POLICY, "NetworkPolicy", "attack", spec=_OPEN)),
    _on("quota-removed", "removes the quota", f"{_CORE}/{{b}}/resourcequotas/plimsoll-tenant", method="DELETE"),
    _sent(
        "let-in",
        "binds itself to a role",
        f"{_RBAC_PATH}/namespaces/{{b}}/rolebindings",
        thing(f"{_RBAC}/v1", "RoleBinding", "attack", roleRef=_ADMIN, subjects=[_MINE]),
    ),
)  # fmt: skip
"""Changing the victim's objects."""
RISES = (
    Attack(
        id="impersonates-owner",
        way=RIGHTS,
        does="acts as the victim's account",
        path=f"{_CORE}/{{b}}/secrets",
        headers={"Impersonate-User": "system:serviceaccount:{b}:plimsoll-tenant"},
    ),
    Attack(
        id="impersonates-admin",
        way=RIGHTS,
        does="acts as the group of administrators",
        path=f"{_CORE}/{{b}}/secrets",
        headers={"Impersonate-User": "attacker", "Impersonate-Group": "system:masters"},
    ),
    _sent("escalates", "makes a role with every right", f"{_RBAC_PATH}/namespaces/{{a}}/roles",
          thing(f"{_RBAC}/v1", "Role", "attack", rules=[_EVERYTHING]), way=RIGHTS),
    _sent("binds", "binds itself to cluster-admin", f"{_RBAC_PATH}/namespaces/{{a}}/rolebindings",
          thing(f"{_RBAC}/v1", "RoleBinding", "attack", roleRef=_ADMIN, subjects=[_MINE]), way=RIGHTS),
    _sent("binds-everywhere", "binds itself to cluster-admin everywhere", f"{_RBAC_PATH}/clusterrolebindings",
          thing(f"{_RBAC}/v1", "ClusterRoleBinding", "attack", roleRef=_ADMIN, subjects=[_MINE]), way=RIGHTS),
    _sent("cluster-role", "makes a cluster role", f"{_RBAC_PATH}/clusterroles",
          thing(f"{_RBAC}/v1", "ClusterRole", "attack", rules=[_EVERYTHING]), way=RIGHTS),
    _sent("role-widened", "widens its own role", f"{_RBAC_PATH}/namespaces/{{a}}/roles/plimsoll-tenant",
          {"rules": [_EVERYTHING]}, method="PATCH", form=MERGE, way=RIGHTS),
    _sent("webhook", "makes a webhook that sees every object", f"/apis/{_ADMISSION}/validatingwebhookconfigurations",
          thing(_ADMISSION, "ValidatingWebhookConfiguration", "attack", webhooks=[_HOOK]), way=RIGHTS),
    _sent("mutating-webhook", "makes a webhook that changes every object",
          f"/apis/{_ADMISSION}/mutatingwebhookconfigurations",
          thing(_ADMISSION, "MutatingWebhookConfiguration", "attack", webhooks=[_HOOK]), way=RIGHTS),
    _sent("definition", "defines a kind", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
          thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "attacks.plimsoll.dev"), way=RIGHTS),
    _sent("api-service", "answers for an API group", "/apis/apiregistration.k8s.io/v1/apiservices",
          thing("apiregistration.k8s.io/v1", "APIService", "v1.attack.plimsoll.dev"), way=RIGHTS),
    _sent("namespace-made", "makes a namespace", "/api/v1/namespaces", thing("v1", "Namespace", "attack"), way=RIGHTS),
    _sent("level-lowered", "lowers the Pod Security level of its namespace", f"{_CORE}/{{a}}",
          {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
          method="PATCH", form=MERGE, way=RIGHTS),
    _sent("own-quota", "raises its own quota", f"{_CORE}/{{a}}/resourcequotas/plimsoll-tenant",
          {"spec": {"hard": {"requests.cpu": "1000"}}}, method="PATCH", form=MERGE, way=RIGHTS),
    _sent("queue-raised", "makes a queue of the cluster's", "/apis/kueue.x-k8s.io/v1beta1/clusterqueues",
          thing("kueue.x-k8s.io/v1beta1", "ClusterQueue", "attack", spec={}), way=RIGHTS, needs=KUEUE),
    _sent("priority-made", "makes a priority class", "/apis/scheduling.k8s.io/v1/priorityclasses",
          thing("scheduling.k8s.io/v1", "PriorityClass", "attack", value=1000), way=RIGHTS),
    _sent("certificate", "asks for a certificate of an administrator",
          "/apis/certificates.k8s.io/v1/certificatesigningrequests",
          thing("certificates.k8s.io/v1", "CertificateSigningRequest", "attack",
                spec={"request": "", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}),
          way=RIGHTS, needs=CERTIFICATES),
    _sent("token-tried", "asks whose a token is", "/apis/authentication.k8s.io/v1/tokenreviews",
          thing("authentication.k8s.io/v1", "TokenReview", "", spec={"token": "x"}), way=RIGHTS),
    Attack(id="namespaces", way=RIGHTS, does="lists namespaces, which are tenants", path="/api/v1/namespaces"),
    Attack(id="nodes", way=RIGHTS, does="lists nodes, which name the images that they hold", path="/api/v1/nodes"),
    Attack(id="volumes", way=RIGHTS, does="lists volumes", path="/api/v1/persistentvolumes"),
    Attack(id="rights-of-all", way=RIGHTS, does="lists who may do what", path=f"{_RBAC_PATH}/rolebindings"),
    Attack(id="slices", way=RIGHTS, does="lists the devices of all nodes",
           path="/apis/resource.k8s.io/v1/resourceslices", needs=DRA),
    Attack(id="kubelet", way=RIGHTS, does="asks a node for its pods", path="/api/v1/nodes/{node}/proxy/pods"),
    Attack(id="node-logs", way=RIGHTS, does="reads the logs of a node", path="/api/v1/nodes/{node}/proxy/logs/"),
    Attack(id="metrics", way=RIGHTS, does="reads the metrics of the API server", path="/metrics"),
    Attack(id="audit", way=RIGHTS, does="reads the logs of the API server", path="/logs/"),
    Attack(id="profile", way=RIGHTS, does="reads the memory of the API server", path="/debug/pprof/heap"),
)  # fmt: skip
"""Rising to rights that no tenant has."""


def _own(
    name: str, does: str, body: Mapping[str, object], *, way: str = PODS, needs: str = "", kind: str = "pods"
) -> Attack:
    """An object that the attacker would make in its own namespace."""
    place = f"{_POLICIES}/{{a}}/{kind}" if kind == "networkpolicies" else f"{_CORE}/{{a}}/{kind}"
    return _sent(name, does, place, body, way=way, needs=needs)


def _mounted(volume: Mapping[str, object]) -> dict[str, object]:
    return pod(volumes=[{"name": "loot", **volume}])


_NEAR = {"labelSelector": {}, "namespaceSelector": {}, "topologyKey": "kubernetes.io/hostname"}
_PORTS = [{"port": 80}]
BREAKS_OUT = (
    _own("host-path", "mounts the node's files, with every image and volume", _mounted({"hostPath": {"path": "/"}})),
    _own("host-network", "takes the node's network", pod(hostNetwork=True)),
    _own("host-processes", "sees the node's processes", pod(hostPID=True)),
    _own("host-ipc", "shares the node's memory", pod(hostIPC=True)),
    _own("host-port", "takes a port of the node", pod({"ports": [{"containerPort": 8080, "hostPort": 8080}]})),
    _own("privileged", "has every privilege", pod(_secured(privileged=True, allowPrivilegeEscalation=True))),
    _own("capabilities", "adds SYS_ADMIN", pod(_secured(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}))),
    _own("root", "is root", pod(_secured(runAsUser=0, runAsNonRoot=False))),
    _own("escalation", "lets programs raise their rights", pod(_secured(allowPrivilegeEscalation=True))),
    _own("unconfined", "makes every system call", pod(_secured(seccompProfile={"type": "Unconfined"}))),
    _own("account", "runs as the victim's account", pod(serviceAccountName="owner")),
    _own("priority", "evicts others by its priority", pod(priorityClassName="system-node-critical"), way=QUOTA),
    _own(
        "affinity",
        "keeps others' pods off its nodes",
        pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_NEAR]}}),
        way=QUOTA,
    ),
    _own(
        "too-much",
        "requests more than its quota",
        pod({"resources": {"requests": {"cpu": "64", "memory": "1Mi"}}}),
        way=QUOTA,
    ),
    _own(
        "accelerator",
        "takes an accelerator that it was not given",
        pod({"resources": {"limits": {"{accelerator}": "1"}, "requests": {"cpu": "1m", "memory": "1Mi"}}}),
        way=QUOTA,
        needs=ACCELERATORS,
    ),
    _own("load-balancer", "has an address outside",
         thing("v1", "Service", "attack", spec={"type": "LoadBalancer", "ports": _PORTS}), way=QUOTA, kind="services"),
    _own("node-port", "opens a port of every node",
         thing("v1", "Service", "attack", spec={"type": "NodePort", "ports": _PORTS}), way=QUOTA, kind="services"),
    _own("external-address", "takes requests to others' addresses",
         thing("v1", "Service", "attack", spec={"ports": _PORTS, "externalIPs": ["192.0.2.1"]}),
         way=WALLS, kind="services"),
    _own("others-image", "runs an image of the victim, which a node may hold",
         pod({"image": "registry.invalid/other-tenant/model:1", "imagePullPolicy": "Never"}),
         way=IMAGES),
    _own("image-volume", "mounts an image of the victim",
         _mounted({"image": {"reference": "registry.invalid/other-tenant/model:1", "pullPolicy": "Never"}}),
         way=IMAGES),
    _own("way-out", "opens its own wall to every address",
         thing(_POLICY, "NetworkPolicy", "attack", spec=_OPEN), way=WALLS, kind="networkpolicies"),
    Attack(id="wall-down", way=WALLS, does="removes its own wall", method="DELETE",
           path=f"{_POLICIES}/{{a}}/networkpolicies/plimsoll-tenant", parameters=DRY),
)  # fmt: skip
"""Breaking out by what it makes in its own namespace."""
REQUESTS = (*READS, *ENTERS, *CHANGES, *RISES, *BREAKS_OUT)
CONTROLS = (
    Attack(id="own-pods", way=OBJECTS, does="lists its own pods", path=f"{_CORE}/{{a}}/pods"),
    _own("own-pod", "makes a pod of its own", pod()),
    _own("own-service", "makes a service of its own", thing("v1", "Service", "mine", spec={"ports": _PORTS}),
         kind="services"),
    _own("own-policy", "makes a network policy of its own",
         thing(_POLICY, "NetworkPolicy", "mine",
               spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}),
         kind="networkpolicies"),
)  # fmt: skip
"""What the attacker may do: were it refused this too, its other refusals would show nothing."""


class PodAttack(Struct, frozen=True, kw_only=True):
    """One way that a pod tries. `role` is the pod that does."""

    id: str
    way: str
    does: str
    role: str


THIEF, MATE, STRANGER = "thief", "mate", "stranger"
ADDRESSES = ("pod", "service", "name")
TRIED = (
    *(PodAttack(id=f"{THIEF}-to-{each}", way=NETWORK, role=THIEF, does=f"reaches the victim by its {each}")
      for each in ADDRESSES),
    *(PodAttack(id=f"{STRANGER}-to-{each}", way=NETWORK, role=STRANGER, does=f"reaches the victim by its {each} from "
                "a namespace without a wall") for each in ADDRESSES),
    PodAttack(id="thief-to-outside", way=NETWORK, role=THIEF, does="reaches a pod of no tenant"),
    PodAttack(id="thief-to-metadata", way=NETWORK, role=THIEF, does="reaches the metadata of the machine"),
    PodAttack(id="secret-volume", way=VOLUMES, role=THIEF, does="mounts the victim's secret by its name"),
    PodAttack(id="config-volume", way=VOLUMES, role=THIEF, does="mounts the victim's config map by its name"),
)  # fmt: skip
"""What pods try. That of the thief is the attacker's, the stranger's is one beside."""
REACHED = {
    THIEF: ("own-server",),
    MATE: ("mate-to-pod", "mate-to-service", "mate-to-name", "secret-volume", "config-volume"),
    STRANGER: ("outside",),
}
"""What each pod has to reach: without it, nothing that it does not reach shows anything."""
