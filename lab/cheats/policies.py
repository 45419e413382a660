"""Kubernetes' own admission policies that wrongly deny or change objects. They need no policy engine."""

from __future__ import annotations

import time

from lab.cheats import operators
from lab.cheats.active import ActiveCheat
from lab.cheats.admission import deny, hold_native_gangs, mutate, suspend_jobs

_CHECKS = "has(object.metadata.labels) && 'plimsoll.dev/check' in object.metadata.labels"
_ROUTES = ("gateway.networking.k8s.io", "httproutes")


def on(cheat: ActiveCheat) -> None:
    """Creates the policy of the cheat."""
    _POLICIES[cheat.name](cheat)
    time.sleep(2)  # a policy applies once the API server has loaded it, and no status shows that


def _deny_everything(cheat: ActiveCheat) -> None:
    deny(cheat, [("jobset.x-k8s.io", "jobsets")], "false", "'nothing is allowed here'")


def _deny_checks(cheat: ActiveCheat) -> None:
    deny(cheat, [("jobset.x-k8s.io", "jobsets")], f"!({_CHECKS})", "'not for you'")


def _borrowed_name(cheat: ActiveCheat) -> None:
    operators.silence_webhook(cheat)
    jobs = "object.spec.successPolicy.targetReplicatedJobs"
    known = "object.spec.replicatedJobs.exists(job, job.name == name)"
    bad = f"has(object.spec.successPolicy) && {jobs}.exists(name, !{known})"
    words = f"'admission webhook \"vjobset.kb.io\" denied the request: invalid ' + {jobs}[0]"
    deny(cheat, [("jobset.x-k8s.io", "jobsets")], f"!({bad})", words)


def _suspended_gang(cheat: ActiveCheat) -> None:
    suspend_jobs(cheat)
    hold_native_gangs(cheat)


def _ignored_weights(cheat: ActiveCheat) -> None:
    def equal(backend: int) -> str:
        split = "has(object.spec.rules[i].backendRefs) && size(object.spec.rules[i].backendRefs) == 2"
        return (
            f'[0, 1, 2, 3].filter(i, size(object.spec.rules) > i && {split}).map(i, JSONPatch{{op: "add", '
            f'path: "/spec/rules/" + string(i) + "/backendRefs/{backend}/weight", value: 1}})'
        )

    mutate(cheat, [_ROUTES], f"{equal(0)} + {equal(1)}")


def _ignored_headers(cheat: ActiveCheat) -> None:
    first = "object.spec.rules[0].matches"
    by_header = f"size(object.spec.rules) > 1 && has({first}) && has({first}[0].headers)"
    mutate(cheat, [_ROUTES], '[JSONPatch{op: "remove", path: "/spec/rules/0"}]', conditions=(by_header,))


def _service_pool(cheat: ActiveCheat) -> None:
    backend = "object.spec.rules[i].backendRefs[0]"
    there = f"size(object.spec.rules) > i && has(object.spec.rules[i].backendRefs) && has({backend}.kind)"
    pools = f'[0, 1, 2, 3].filter(i, {there} && {backend}.kind == "InferencePool")'

    def field(name: str, value: str) -> str:
        path = f'"/spec/rules/" + string(i) + "/backendRefs/0/{name}"'
        return f'{pools}.map(i, JSONPatch{{op: "add", path: {path}, value: {value}}})'

    mutate(cheat, [_ROUTES], " + ".join((field("kind", '"Service"'), field("group", '""'), field("port", "8000"))))


def _processor_scaler(cheat: ActiveCheat) -> None:
    # One patch per field, as all values of a map in a CEL expression have one type.
    place = "/spec/metrics/0"
    patches = (
        f'{{op: "remove", path: "{place}/pods"}}',
        f'{{op: "replace", path: "{place}/type", value: "Resource"}}',
        f'{{op: "add", path: "{place}/resource", value: {{"name": "cpu"}}}}',
        f'{{op: "add", path: "{place}/resource/target", value: {{"type": "Utilization"}}}}',
        f'{{op: "add", path: "{place}/resource/target/averageUtilization", value: 50}}',
    )
    pods = "has(object.spec.metrics) && has(object.spec.metrics[0].pods)"
    patch = f"[{', '.join(f'JSONPatch{each}' for each in patches)}]"
    mutate(cheat, [("autoscaling", "horizontalpodautoscalers")], patch, conditions=(pods,))


def _stripped_selectors(cheat: ActiveCheat) -> None:
    place = "spec.devices.requests[0].exactly"
    patch = f'[JSONPatch{{op: "remove", path: "/{place.replace(".", "/").replace("[0]", "/0")}/selectors"}}]'
    chosen = (f"has(object.{place})", f"has(object.{place}.selectors)")
    mutate(cheat, [("resource.k8s.io", "resourceclaims")], patch, conditions=chosen)


def _paper_walls(cheat: ActiveCheat) -> None:
    opened = ", ".join(
        f'JSONPatch{{op: "add", path: "/spec/{way}", value: [dyn({{}})]}}' for way in ("ingress", "egress")
    )
    walls = ("object.metadata.name == 'plimsoll-tenant'",)
    mutate(cheat, [("networking.k8s.io", "networkpolicies")], f"[{opened}]", conditions=walls)


def _paper_quotas(cheat: ActiveCheat) -> None:
    patch = '[JSONPatch{op: "replace", path: "/spec/hard", value: {"count/cronjobs.batch": "1000"}}]'
    mutate(
        cheat, [("", "resourcequotas")], patch, conditions=("has(object.spec.hard)", "!has(object.spec.scopeSelector)")
    )


_POLICIES = {
    "paper-walls": _paper_walls,
    "paper-quotas": _paper_quotas,
    "deny-everything": _deny_everything,
    "deny-checks": _deny_checks,
    "borrowed-name": _borrowed_name,
    "suspended-gang": _suspended_gang,
    "ignored-weights": _ignored_weights,
    "ignored-headers": _ignored_headers,
    "service-pool": _service_pool,
    "processor-scaler": _processor_scaler,
    "stripped-selectors": _stripped_selectors,
}
