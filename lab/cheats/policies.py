"""Cheats with Kubernetes' own admission policies: they refuse or change objects. No policy engine is needed."""

from __future__ import annotations

import time

from lab.cheats import operators
from lab.cheats.admission import change, hold_native_gangs, refuse, suspend_jobs
from lab.cheats.scene import Scene

_CHECKS = "has(object.metadata.labels) && 'plimsoll.dev/check' in object.metadata.labels"
_ROUTES = ("gateway.networking.k8s.io", "httproutes")


def on(scene: Scene) -> None:
    """Create the policy of the cheat."""
    _POLICIES[scene.name](scene)
    time.sleep(2)  # a policy works once the API server has read it, and nothing reports that moment


def _deny_everything(scene: Scene) -> None:
    refuse(scene, [("jobset.x-k8s.io", "jobsets")], "false", "'nothing is allowed here'")


def _deny_checks(scene: Scene) -> None:
    refuse(scene, [("jobset.x-k8s.io", "jobsets")], f"!({_CHECKS})", "'not for you'")


def _borrowed_name(scene: Scene) -> None:
    operators.silence_webhook(scene)
    jobs = "object.spec.successPolicy.targetReplicatedJobs"
    known = "object.spec.replicatedJobs.exists(job, job.name == name)"
    bad = f"has(object.spec.successPolicy) && {jobs}.exists(name, !{known})"
    words = f"'admission webhook \"vjobset.kb.io\" denied the request: invalid ' + {jobs}[0]"
    refuse(scene, [("jobset.x-k8s.io", "jobsets")], f"!({bad})", words)


def _suspended_gang(scene: Scene) -> None:
    suspend_jobs(scene)
    hold_native_gangs(scene)


def _ignored_weights(scene: Scene) -> None:
    def equal(backend: int) -> str:
        split = "has(object.spec.rules[i].backendRefs) && size(object.spec.rules[i].backendRefs) == 2"
        return (
            f'[0, 1, 2, 3].filter(i, size(object.spec.rules) > i && {split}).map(i, JSONPatch{{op: "add", '
            f'path: "/spec/rules/" + string(i) + "/backendRefs/{backend}/weight", value: 1}})'
        )

    change(scene, [_ROUTES], f"{equal(0)} + {equal(1)}")


def _ignored_headers(scene: Scene) -> None:
    first = "object.spec.rules[0].matches"
    by_header = f"size(object.spec.rules) > 1 && has({first}) && has({first}[0].headers)"
    change(scene, [_ROUTES], '[JSONPatch{op: "remove", path: "/spec/rules/0"}]', conditions=(by_header,))


def _service_pool(scene: Scene) -> None:
    backend = "object.spec.rules[i].backendRefs[0]"
    there = f"size(object.spec.rules) > i && has(object.spec.rules[i].backendRefs) && has({backend}.kind)"
    pools = f'[0, 1, 2, 3].filter(i, {there} && {backend}.kind == "InferencePool")'

    def field(name: str, value: str) -> str:
        path = f'"/spec/rules/" + string(i) + "/backendRefs/0/{name}"'
        return f'{pools}.map(i, JSONPatch{{op: "add", path: {path}, value: {value}}})'

    change(scene, [_ROUTES], " + ".join((field("kind", '"Service"'), field("group", '""'), field("port", "8000"))))


def _processor_scaler(scene: Scene) -> None:
    # One patch for each field, because a CEL map holds values of one type.
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
    change(scene, [("autoscaling", "horizontalpodautoscalers")], patch, conditions=(pods,))


def _stripped_selectors(scene: Scene) -> None:
    place = "spec.devices.requests[0].exactly"
    patch = f'[JSONPatch{{op: "remove", path: "/{place.replace(".", "/").replace("[0]", "/0")}/selectors"}}]'
    chosen = (f"has(object.{place})", f"has(object.{place}.selectors)")
    change(scene, [("resource.k8s.io", "resourceclaims")], patch, conditions=chosen)


_POLICIES = {
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
