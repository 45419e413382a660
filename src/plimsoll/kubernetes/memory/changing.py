"""Requests that change objects: the forms of create, update, patch, apply, delete, and the subresource scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from plimsoll.kubernetes.memory import patches
from plimsoll.kubernetes.memory.deletion import DeleteOptions
from plimsoll.kubernetes.memory.managers import Owners
from plimsoll.kubernetes.memory.objects import By, Objects
from plimsoll.kubernetes.memory.reading import listed, selected, shown
from plimsoll.kubernetes.memory.refusals import Cause, Manifest, StatusError, bad_request, invalid
from plimsoll.kubernetes.memory.requests import ApiPath, Request
from plimsoll.kubernetes.memory.values import now

_APPLY = "application/apply-patch+yaml"
_MERGE, _JSON, _STRATEGIC = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
)
_YAML = ("application/yaml", "application/x-yaml")
_FORMS = ("application/json", "application/yaml")
_RETURNED = frozenset({"pods", "services", "serviceaccounts", "persistentvolumeclaims", "resourcequotas"})
"""Kinds whose deletion is answered with the object; others are with a Status."""


def is_apply(request: Request) -> bool:
    """Whether a patch is a server-side apply."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == _APPLY


class Changing:
    """Answers requests that change objects."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def answer(self, request: Request, place: ApiPath) -> tuple[int, Manifest]:
        """The code and the body. Raises StatusError."""
        by = By(user=request.user, manager=_manager(request), dry_run=_dry_run(request))
        match request.verb:
            case "create":
                return self._create(request, place, by)
            case "update":
                return 200, self._replace(place, _manifest(request), by)
            case "patch":
                return self._patch(request, place, by)
            case "delete":
                return self._delete(request, place, by)
        return self._delete_all(request, place, by)

    def scale(self, place: ApiPath, found: Manifest) -> Manifest:
        """The subresource scale of an object."""
        spec, status = found["spec"], found.get("status") or {}
        labels = (spec.get("selector") or {}).get("matchLabels") or {}
        metadata = {key: found["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion")}
        told = {"replicas": status.get("replicas", 0), "selector": ",".join(f"{k}={v}" for k, v in labels.items())}
        scale = {"metadata": metadata, "spec": {"replicas": spec.get("replicas", 0)}, "status": told}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", **scale}

    def _create(self, request: Request, place: ApiPath, by: By) -> tuple[int, Manifest]:
        manifest = _manifest(request)
        if place.subresource == "eviction":
            pod = ApiPath(kind=place.kind, namespace=place.namespace, name=place.name, subresource="status")
            self._objects.change(pod, lambda live: (_evicted(live), None), by)
            self._objects.delete(place, DeleteOptions(), by)
            return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        if place.subresource == "binding":
            node = manifest["target"]["name"]
            self._objects.change(place, lambda live: (_placed(live, node), None), by)
            return 201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        if place.name or place.subresource:
            raise StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        if place.kind.namespaced and not place.namespace:
            raise StatusError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
            )
        return 201, shown(place.kind, self._objects.create(place, manifest, by))

    def _replace(self, place: ApiPath, manifest: Manifest, by: By) -> Manifest:
        if place.subresource == "scale":
            return self._rescale(place, manifest, by)
        return shown(place.kind, self._objects.replace(place, manifest, by))

    def _rescale(self, place: ApiPath, scale: Manifest, by: By) -> Manifest:
        def change(live: Manifest) -> tuple[Manifest, Owners | None]:
            live["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas", 0)
            return live, None

        return self.scale(place, self._objects.change(place, change, by))

    def _patch(self, request: Request, place: ApiPath, by: By) -> tuple[int, Manifest]:
        form = request.headers.get("content-type", "").partition(";")[0].strip()
        _check_options(request.parameters, form)
        if form == _APPLY:
            wanted = _yaml(request.body)
            force = request.parameters.get("force") == "true"
            found, fresh = self._objects.apply(place, wanted, by, force=force)
            return (201 if fresh else 200), shown(place.kind, found)
        if form not in (_MERGE, _JSON, _STRATEGIC) or (form == _STRATEGIC and place.kind.custom):
            known = [_JSON, _MERGE, _APPLY] + ([] if place.kind.custom else [_STRATEGIC])
            told = (
                f"the body of the request was in an unknown format - accepted media types include: {', '.join(known)}"
            )
            raise StatusError(415, "UnsupportedMediaType", told)
        patch = _json(request.body, lists=form == _JSON)
        if place.subresource == "scale":
            return 200, self._rescale(place, patches.merged(self.scale(place, self._objects.get(place)), patch), by)

        def change(live: Manifest) -> tuple[Manifest, Owners | None]:
            if form == _JSON:
                return patches.edited(live, patch), None
            if form == _MERGE:
                return patches.merged(live, patch), None
            return patches.strategic(place.kind, live, patch), None

        return 200, shown(place.kind, self._objects.change(place, change, by))

    def _delete(self, request: Request, place: ApiPath, by: By) -> tuple[int, Manifest]:
        last, gone = self._objects.delete(place, _options(request), by)
        kind = place.kind
        if not gone or kind.plural in _RETURNED:
            return 200, shown(kind, last)
        details = {"name": place.name, "group": kind.group, "kind": kind.plural, "uid": last["metadata"]["uid"]}
        told = {key: value for key, value in details.items() if value}
        return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": told}

    def _delete_all(self, request: Request, place: ApiPath, by: By) -> tuple[int, Manifest]:
        test, found = selected(place, request.parameters), listed(self._objects.store, place, request.parameters)
        options = _options(request)
        for each in self._objects.store.list(place.kind.resource, place.namespace):
            if not test(each):
                continue
            metadata = each["metadata"]
            one = ApiPath(kind=place.kind, namespace=metadata.get("namespace", ""), name=metadata["name"])
            try:
                self._objects.delete(one, options, by)
            except StatusError as refusal:
                # It went with another of them, or on its own.
                if refusal.code != 404:
                    raise
        return 200, found


def _evicted(pod: Manifest) -> Manifest:
    """The pod with the condition by which an eviction tells itself apart from a deletion."""
    told = {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting", "lastTransitionTime": now()}
    status = pod.get("status") or {}
    others = [each for each in status.get("conditions") or [] if each["type"] != "DisruptionTarget"]
    condition = {"type": "DisruptionTarget", "status": "True", **told}
    return {**pod, "status": {**status, "conditions": [*others, condition]}}


def _placed(pod: Manifest, node: str) -> Manifest:
    pod["spec"]["nodeName"] = node
    return pod


def _manager(request: Request) -> str:
    named = request.parameters.get("fieldManager", "")
    return named or request.headers.get("user-agent", "").partition("/")[0] or "unknown"


def _dry_run(request: Request) -> bool:
    value = request.parameters.get("dryRun", "")
    if value not in ("", "All"):
        told = f'Unsupported value: ["{value}"]: supported values: "All"'
        cause = Cause(field="dryRun", message=told, reason="FieldValueNotSupported")
        raise invalid("CreateOptions", "", "meta.k8s.io", [cause])
    return value == "All"


def _check_options(parameters: Mapping[str, str], form: str) -> None:
    causes = []
    if form == _APPLY and not parameters.get("fieldManager"):
        told = "Required value: is required for apply patch"
        causes.append(Cause(field="fieldManager", message=told, reason="FieldValueRequired"))
    if form != _APPLY and "force" in parameters:
        told = "Forbidden: may not be specified for non-apply patch"
        causes.append(Cause(field="force", message=told, reason="FieldValueForbidden"))
    if causes:
        raise invalid("PatchOptions", "", "meta.k8s.io", causes)


def _json(body: bytes, *, lists: bool = False) -> Any:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(found, list if lists else dict):
        raise bad_request("the object provided is unrecognized: it is no object")
    return found


def _manifest(request: Request) -> Manifest:
    """The body of a create or an update. Raises StatusError: 400 without one, 415 for an unknown form."""
    form = request.headers.get("content-type", "").partition(";")[0].strip()
    if form in _YAML:
        return _yaml(request.body)
    if form not in ("", "application/json"):
        told = f"the body of the request was in an unknown format - accepted media types include: {', '.join(_FORMS)}"
        raise StatusError(415, "UnsupportedMediaType", told)
    found: Manifest = _json(request.body)
    return found


def _yaml(body: bytes) -> Manifest:
    try:
        found = yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(found, dict):
        raise bad_request("error decoding YAML: it is no object")
    return found


def _options(request: Request) -> DeleteOptions:
    given: Manifest = _json(request.body) if request.body.strip() else {}
    wanted = given.get("preconditions") or {}
    grace = request.parameters.get("gracePeriodSeconds", given.get("gracePeriodSeconds"))
    policy = request.parameters.get("propagationPolicy", given.get("propagationPolicy") or "")
    if policy not in ("", "Orphan", "Foreground", "Background"):
        told = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        cause = Cause(field="propagationPolicy", message=told, reason="FieldValueNotSupported")
        raise invalid("DeleteOptions", "", "meta.k8s.io", [cause])
    return DeleteOptions(
        grace=int(grace) if grace is not None else None,
        policy=policy,
        uid=wanted.get("uid", ""),
        version=wanted.get("resourceVersion", ""),
    )
