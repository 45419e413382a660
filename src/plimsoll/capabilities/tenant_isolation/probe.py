"""Makes two tenants and a stranger, and has the one attack the other."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from functools import partial

import msgspec

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.rights import MAKE, READ, Right
from plimsoll.capabilities.tenant_isolation import pods
from plimsoll.capabilities.tenant_isolation.answers import Means, means
from plimsoll.capabilities.tenant_isolation.attacks import (
    ACCELERATORS,
    CERTIFICATES,
    CONTROLS,
    DRA,
    KUEUE,
    MATE,
    METRICS,
    REQUESTS,
    STRANGER,
    THIEF,
    TRIED,
    Attack,
)
from plimsoll.capabilities.tenant_isolation.records import (
    AFTER,
    ATTACKER,
    BEFORE,
    OWNER,
    Asked,
    LeftOut,
    SuiteBegan,
    Tried,
    Word,
)
from plimsoll.capabilities.tenant_isolation.victims import furnish
from plimsoll.evidence.verdict import Verdict, environment_error, unknown
from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.tenants.access import token
from plimsoll.tenants.facts import POLICIES, TenantFacts
from plimsoll.tenants.manifests import manifests
from plimsoll.tenants.rights import IN_NAMESPACE
from plimsoll.tenants.tenant import Tenant

_RBAC, _WALLS = "rbac.authorization.k8s.io", "admissionregistration.k8s.io"
RIGHTS = (
    # Nobody gives away what they do not have: the rights of the tenants are those of the check too.
    *(Right(group=each.group, resources=each.resources, verbs=each.verbs) for each in IN_NAMESPACE),
    Right(group="", resources=("serviceaccounts/token",), verbs=("create",)),
    Right(group="", resources=("resourcequotas", "limitranges", "serviceaccounts"), verbs=("get", *MAKE)),
    Right(group=_RBAC, resources=("roles", "rolebindings"), verbs=MAKE),
    Right(
        group=_WALLS,
        resources=("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        verbs=(*READ, *MAKE),
    ),
)
_START_LIMIT = 120.0
_END_LIMIT = 120.0
_KNOWN_LIMIT = 30.0
"""Seconds until an API server carries out what it was just told: bindings, and policies of admission."""
_HOUR = 3600
_SERVED: Mapping[str, str] = {
    KUEUE: "kueue.x-k8s.io/v1beta1",
    DRA: "resource.k8s.io/v1",
    METRICS: "metrics.k8s.io/v1beta1",
    CERTIFICATES: "certificates.k8s.io/v1",
}


def obstacle(facts: ClusterFacts) -> Verdict | None:
    """The probe needs a node on which pods start."""
    if facts.ready_nodes():
        return None
    if "node" in facts.unreadable or "nodes" in facts.unreadable:
        return unknown("the caller may not list nodes", "grant list on nodes")
    return environment_error("no node takes pods", "add a node, or make one ready")


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Make the tenants, let everybody do what they may, and then attack."""
    ns.create()
    _server(ns, "open", ns.name)
    ns.wait("the open server to answer", partial(_address, ns, "open", ns.name), _START_LIMIT)
    a, b = f"{ns.name}-a"[:63], f"{ns.name}-b"[:63]
    word = secrets.token_hex(16)
    ns.note(SuiteBegan(attacker=a, victim=b, requests=_ids(REQUESTS), pods=tuple(each.id for each in TRIED)))
    ns.note(Word(digest=hashlib.sha256(word.encode()).hexdigest()))
    tenant_facts = _facts_of(ns, facts)
    for name in (a, b):
        _make_tenant(ns, name, tenant_facts)
    furnish(ns, b, word)
    _server(ns, "till", b)
    _server(ns, "own", a)
    for name, namespace in (("till", b), ("own", a)):
        ns.wait(f"{name} to answer in {namespace}", partial(_address, ns, name, namespace), _START_LIMIT)
    attacker, owner = _acting(ns, a), _acting(ns, b)
    try:
        _ask_all(ns, facts, tenant_facts, attacker, owner, (a, b))
    finally:
        attacker.close()
        owner.close()
    _try_from_pods(ns, a, b)


def _ids(attacks: tuple[Attack, ...]) -> tuple[str, ...]:
    return tuple(each.id for each in attacks)


def _facts_of(ns: ProbeNamespace, facts: ClusterFacts) -> TenantFacts:
    return TenantFacts(
        accelerators=tuple(sorted({each.resource for each in facts.by_plugin()})),
        classes=facts.device_classes,
        policies=ns.api.serves(POLICIES, "ValidatingAdmissionPolicy"),
    )


def _make_tenant(ns: ProbeNamespace, name: str, facts: TenantFacts) -> None:
    """A tenant as `plimsoll tenant create` makes it; its people read nothing outside of their namespace."""
    image = ns.settings.image()
    tenant = Tenant(name=name, cpu="2", memory="2Gi", pods=20, images=(image.rpartition("/")[0],))
    for manifest in manifests(tenant, facts, outside=False):
        if (manifest["kind"], manifest["metadata"]["name"]) == ("ServiceAccount", "default"):
            # That of the cluster's own making is as good: no pod here mounts its token.
            continue
        ns.apply(manifest)
        if manifest["kind"] == "Namespace":
            found = ns.wait(f"the account of {name}", lambda: _account(ns, name), _KNOWN_LIMIT)
            if not found:
                return


def _account(ns: ProbeNamespace, namespace: str) -> bool:
    return ns.api.find("v1", "ServiceAccount", "default", namespace) is not None


def _acting(ns: ProbeNamespace, namespace: str) -> Api:
    bearer, _ = token(ns.api, namespace, _HOUR)
    return ns.api.with_token(bearer)


def _server(ns: ProbeNamespace, name: str, namespace: str) -> None:
    """A pod that answers at its port, and its service."""
    container = {"args": ["netexec", f"--http-port={pods.PORT}"], "ports": [{"containerPort": pods.PORT}]}
    manifest = ns.pod_manifest(name, container=container)
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": pods.PORT}]}
    service: Manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    for each in (manifest, service):
        ns.apply({**each, "metadata": {**each["metadata"], "namespace": namespace}})


def _address(ns: ProbeNamespace, name: str, namespace: str) -> str:
    """The address of a pod that is ready; empty before."""
    status = ns.api.get("v1", "Pod", name, namespace).get("status", {})
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))
    return str(status.get("podIP", "")) if ready else ""


def _ask_all(
    ns: ProbeNamespace, facts: ClusterFacts, walls: TenantFacts, attacker: Api, owner: Api, places: tuple[str, str]
) -> None:
    """Everything that is asked of the API server: controls first and last, and beside each way its own."""
    a, b = places
    words = {
        "{a}": a,
        "{b}": b,
        "{node}": facts.ready_nodes()[0].name,
        "{accelerator}": walls.accelerators[0] if walls.accelerators else "",
        "{image}": ns.settings.image(),
    }
    has = _has(facts, walls)
    ns.wait("the rights of the tenants to count", lambda: _counts(ns, attacker, owner, words), _KNOWN_LIMIT)
    if walls.policies:
        ns.wait("the rules of admission to count", lambda: _are_held(attacker, words), _KNOWN_LIMIT)
    for when in (BEFORE, AFTER):
        for each in CONTROLS:
            status, message = _asked(attacker, each, words)
            ns.note(Asked(attack=each.id, by=ATTACKER, status=status, message=message, when=when))
        if when == AFTER:
            return
        for each in REQUESTS:
            ns.settings.check_time("the answers to attacks")
            if each.needs and each.needs not in has:
                ns.note(LeftOut(attack=each.id, why=f"the cluster has no {each.needs}"))
                continue
            if each.owner:
                status, message = _asked(owner, each, words)
                ns.note(Asked(attack=each.id, by=OWNER, status=status, message=message))
            status, message = _asked(attacker, each, words)
            ns.note(Asked(attack=each.id, by=ATTACKER, status=status, message=message))


def _has(facts: ClusterFacts, walls: TenantFacts) -> frozenset[str]:
    found = {word for word, group in _SERVED.items() if group in facts.served}
    return frozenset(found | ({ACCELERATORS} if walls.accelerators else set()))


def _counts(ns: ProbeNamespace, attacker: Api, owner: Api, words: Mapping[str, str]) -> bool:
    mine = _asked(attacker, CONTROLS[0], words)[0]
    theirs = _asked(owner, REQUESTS[0], words)[0]
    return mine == theirs == 200


def _are_held(attacker: Api, words: Mapping[str, str]) -> bool:
    """Whether the attacker's wall is guarded already: an API server reads policies a moment after they were made."""
    down = next(each for each in REQUESTS if each.id == "wall-down")
    status, message = _asked(attacker, down, words)
    return means(down.way, status, message) is Means.HELD


def _asked(api: Api, attack: Attack, words: Mapping[str, str]) -> tuple[int, str]:
    """The status and the words of the answer; 200 for every success. Raises ApiError when nobody answers."""
    body = _filled(attack.body, words) if attack.body is not None else None
    try:
        api.request(
            attack.method,
            _replaced(attack.path, words),
            body=body,
            parameters=attack.parameters,
            content_type=attack.form,
            headers={name: _replaced(value, words) for name, value in attack.headers.items()},
            raw=True,
        )
    except ApiError as error:
        if error.status == 0:
            raise
        return error.status, error.message[:400]
    return 200, ""


def _filled(body: Mapping[str, object], words: Mapping[str, str]) -> Manifest:
    text = _replaced(msgspec.json.encode(body).decode(), words)
    found: Manifest = msgspec.json.decode(text)
    return found


def _replaced(text: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = text.replace(name, word)
    return text


def _try_from_pods(ns: ProbeNamespace, a: str, b: str) -> None:
    """The thief in the attacker's namespace, a pod of the victim's own, and a stranger beside both."""
    victim = {
        "pod": f"http://{_address(ns, 'till', b)}:{pods.PORT}/hostname",
        "service": f"http://{_service(ns, 'till', b)}/hostname",
        "name": f"http://till.{b}.svc/hostname",
    }
    outside, own = (f"http://{_address(ns, *each)}:{pods.PORT}/hostname" for each in (("open", ns.name), ("own", a)))
    tries = {
        THIEF: [
            ("own-server", own),
            *((f"{THIEF}-to-{each}", address) for each, address in victim.items()),
            ("thief-to-outside", outside),
            ("thief-to-metadata", "http://169.254.169.254/"),
        ],
        MATE: [(f"{MATE}-to-{each}", address) for each, address in victim.items()],
        STRANGER: [("outside", outside), *((f"{STRANGER}-to-{each}", address) for each, address in victim.items())],
    }
    places = {THIEF: a, MATE: b, STRANGER: ns.name}
    container, spec = pods.mounts()
    for role, namespace in places.items():
        loot = role != STRANGER
        made = ns.pod_manifest(
            role, pods.script(tries[role], loot), container=container if loot else None, **(spec if loot else {})
        )
        ns.apply({**made, "metadata": {**made["metadata"], "namespace": namespace}})
    for role, namespace in places.items():
        _note_tries(ns, role, namespace)


def _service(ns: ProbeNamespace, name: str, namespace: str) -> str:
    return str(ns.api.get("v1", "Service", name, namespace)["spec"].get("clusterIP", ""))


def _note_tries(ns: ProbeNamespace, role: str, namespace: str) -> None:
    def phase() -> str:
        return str(ns.api.get("v1", "Pod", role, namespace).get("status", {}).get("phase", ""))

    ns.wait(f"the end of {role} in {namespace}", lambda: phase() in ("Succeeded", "Failed"), _END_LIMIT)
    log = ns.api.logs(role, namespace, "main") if phase() == "Succeeded" else ""
    ns.note(Tried(role=role, phase=phase(), said=pods.said(log)))
