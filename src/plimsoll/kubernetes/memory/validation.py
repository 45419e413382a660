"""What an API server refuses as invalid: the rules of Kubernetes' own kinds that clients run into, and of schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from plimsoll.kubernetes.memory.kinds import ServedKind
from plimsoll.kubernetes.memory.names import (
    REQUIRED,
    data_key_causes,
    label_causes,
    metadata_causes,
    name_problem,
    wrong,
)
from plimsoll.kubernetes.memory.refusals import Cause, Manifest, invalid
from plimsoll.kubernetes.memory.schemas import schema_causes
from plimsoll.kubernetes.memory.selectors import of_object
from plimsoll.kubernetes.memory.value_types import check_types

_FINISHING = ("Never", "OnFailure")


def check(kind: ServedKind, manifest: Manifest, before: Manifest | None = None) -> None:
    """Raises StatusError (422) for an object that is not valid, or that changes what cannot be changed."""
    check_types(kind, manifest)
    causes = list(metadata_causes(manifest["metadata"], kind.naming))
    checker = _CHECKERS.get(kind.resource)
    if checker is not None:
        causes += checker(manifest)
    if kind.custom and kind.schema:
        causes += schema_causes(kind.schema, manifest)
    if before is not None:
        causes += _update_causes(kind, before, manifest)
    if causes:
        raise invalid(kind.kind, manifest["metadata"].get("name", ""), kind.group, causes)


def _required(field: str, message: str = "") -> Cause:
    return Cause(field=field, message=f"Required value{': ' if message else ''}{message}", reason=REQUIRED)


def _pod_spec(spec: Manifest, field: str) -> Iterator[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield _required(f"{field}.containers")
    seen: set[str] = set()
    for place, each in _containers(spec, field):
        name = each.get("name", "")
        if not name:
            yield _required(f"{place}.name")
        elif problem := name_problem(name, "label"):
            yield wrong(f"{place}.name", name, problem)
        elif name in seen:
            yield Cause(field=f"{place}.name", message=f'Duplicate value: "{name}"', reason="FieldValueDuplicate")
        seen.add(name)
        if not each.get("image"):
            yield _required(f"{place}.image")
    if spec.get("restartPolicy") not in ("Always", *_FINISHING):
        yield _unsupported(f"{field}.restartPolicy", spec.get("restartPolicy"), ("Always", "OnFailure", "Never"))


def _containers(spec: Manifest, field: str) -> Iterator[tuple[str, Manifest]]:
    for group in ("containers", "initContainers"):
        for index, each in enumerate(spec.get(group) or []):
            yield f"{field}.{group}[{index}]", each


def _unsupported(field: str, value: Any, known: tuple[str, ...]) -> Cause:
    names = ", ".join(f'"{each}"' for each in known)
    return Cause(
        field=field, message=f'Unsupported value: "{value}": supported values: {names}', reason="FieldValueNotSupported"
    )


def _pod(manifest: Manifest) -> Iterator[Cause]:
    yield from _pod_spec(manifest["spec"], "spec")


def _workload(manifest: Manifest) -> Iterator[Cause]:
    spec = manifest["spec"]
    template = spec["template"]
    labels = template["metadata"].get("labels") or {}
    if not spec.get("selector"):
        yield _required("spec.selector")
    elif not of_object(spec["selector"])({"metadata": {"labels": labels}}):
        yield wrong("spec.template.metadata.labels", str(labels), "`selector` does not match template `labels`")
    yield from label_causes(labels, "spec.template.labels")
    yield from _pod_spec(template["spec"], "spec.template.spec")
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        yield wrong("spec.replicas", spec["replicas"], "must be greater than or equal to 0")


def _job(manifest: Manifest) -> Iterator[Cause]:
    spec = manifest["spec"]
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds"):
        if isinstance(spec.get(name), int) and spec[name] < 0:
            yield wrong(f"spec.{name}", spec[name], "must be greater than or equal to 0")
    template = spec["template"]["spec"]
    yield from _pod_spec(template, "spec.template.spec")
    if template.get("restartPolicy") not in _FINISHING:
        yield _unsupported("spec.template.spec.restartPolicy", template.get("restartPolicy"), _FINISHING)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield _required("spec.completions", "when completion mode is Indexed")


def _service(manifest: Manifest) -> Iterator[Cause]:
    spec = manifest["spec"]
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield _required("spec.ports")
    for index, each in enumerate(ports):
        if not isinstance(each.get("port"), int) or not 1 <= each["port"] <= 65535:
            yield wrong(f"spec.ports[{index}].port", each.get("port", 0), "must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not each.get("name"):
            yield _required(f"spec.ports[{index}].name")


def _data(manifest: Manifest) -> Iterator[Cause]:
    yield from data_key_causes(manifest.get("data") or {}, "data")
    yield from data_key_causes(manifest.get("binaryData") or {}, "binaryData")


def _no_causes_of_old(kind: ServedKind, before: Manifest, after: Manifest) -> Iterator[Cause]:
    for field in _FIXED.get(kind.resource, ()):
        old, new = _at(before, field), _at(after, field)
        if old != new:
            yield Cause(field=field, message=f"Invalid value: {new!r}: field is immutable")


def _update_causes(kind: ServedKind, before: Manifest, after: Manifest) -> Iterator[Cause]:
    old, new = before["metadata"], after["metadata"]
    if old.get("deletionTimestamp") and set(new.get("finalizers") or []) - set(old.get("finalizers") or []):
        message = "Forbidden: no new finalizers can be added if the object is being deleted"
        yield Cause(field="metadata.finalizers", message=message, reason="FieldValueForbidden")
    yield from _no_causes_of_old(kind, before, after)
    if kind.plural in ("configmaps", "secrets") and before.get("immutable"):
        fields = ("data", "binaryData", "immutable")
        if any(before.get(field) != after.get(field) for field in fields):
            message = "Forbidden: field is immutable when `immutable` is set"
            yield Cause(field="data", message=message, reason="FieldValueForbidden")
    if kind.resource == ("batch", "jobs") and _job_template(before, before) != _job_template(after, before):
        yield Cause(field="spec.template", message="Invalid value: field is immutable")
    if kind.resource == ("", "pods") and _settled(before["spec"]) != _settled(after["spec"]):
        message = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
        yield Cause(field="spec", message=message, reason="FieldValueForbidden")


def _job_template(manifest: Manifest, before: Manifest) -> Manifest:
    """Of a Job's pods, what does not change: queues set where those of a Job that has not begun are to run."""
    template: Manifest = manifest["spec"]["template"]
    if not before["spec"].get("suspend") or (before.get("status") or {}).get("startTime"):
        return template
    free = {"nodeSelector", "affinity", "tolerations", "schedulingGates"}
    return {"spec": {key: value for key, value in template["spec"].items() if key not in free}}


def _settled(spec: Manifest) -> Manifest:
    """Of a pod, what does not change; the scheduler binds it once, and gates are only taken away."""
    free = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates", "nodeName"}
    kept = {key: value for key, value in spec.items() if key not in free}
    for group in ("containers", "initContainers"):
        if group in spec:
            kept[group] = [{key: value for key, value in each.items() if key != "image"} for each in spec[group]]
    return kept


def _at(manifest: Manifest, field: str) -> Any:
    value: Any = manifest
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


_FIXED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("apps", "deployments"): ("spec.selector",),
    ("apps", "replicasets"): ("spec.selector",),
    ("apps", "statefulsets"): ("spec.selector", "spec.serviceName"),
    ("batch", "jobs"): ("spec.selector", "spec.completionMode", "spec.podReplacementPolicy"),
    ("", "services"): ("spec.clusterIP",),
    ("", "secrets"): ("type",),
    ("rbac.authorization.k8s.io", "rolebindings"): ("roleRef",),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("roleRef",),
}
_CHECKERS: Mapping[tuple[str, str], Callable[[Manifest], Iterator[Cause]]] = {
    ("", "pods"): _pod,
    ("", "services"): _service,
    ("", "configmaps"): _data,
    ("", "secrets"): _data,
    ("apps", "deployments"): _workload,
    ("apps", "replicasets"): _workload,
    ("apps", "statefulsets"): _workload,
    ("batch", "jobs"): _job,
}
