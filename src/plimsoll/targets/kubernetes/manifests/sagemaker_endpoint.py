"""A service as an Endpoint of Amazon SageMaker: a Model for each version, their shares, and the Endpoint. Pure.

By contract, as trainings are. Models and shares cannot be changed there: each content has a name of its own, and the
Endpoint is led to the new one. Source: sagemaker.services.k8s.aws/v1alpha1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from plimsoll.kinds.serve import Serve
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import SAGEMAKER, SageMakerPlace
from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import Plan
from plimsoll.runtime.sagemaker_serving import ServingOrder, order_variables
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests.groups import Group, ServedVersions, grouped
from plimsoll.targets.services import shares_of

ENDPOINT = "endpoint"
"""The provider."""


def endpoint_objects(
    name: str, labels: dict[str, str], served: ServedVersions, place: SageMakerPlace
) -> Iterator[Manifest]:
    """Models, shares and Endpoint, in the order in which they are applied."""
    variants = []
    for group in grouped(name, served, labels, apart=True):
        model = _model(name, group, place, labels)
        yield model
        variants.append(
            {
                "variantName": group.version or "all",
                "modelName": model["spec"]["modelName"],
                "instanceType": place.serve,
                "initialInstanceCount": max(1, served.scale.min),
                "initialVariantWeight": group.traffic.weight if group.traffic is not None else 100,
            }
        )
    shares = _named(name, "EndpointConfig", {"productionVariants": variants}, labels, "endpointConfigName")
    yield shares
    metadata = {"name": name, "labels": labels, "annotations": {names.KEY: served.key}}
    spec = {"endpointName": name, "endpointConfigName": shares["spec"]["endpointConfigName"]}
    yield {"apiVersion": SAGEMAKER, "kind": "Endpoint", "metadata": metadata, "spec": spec}


def _model(name: str, group: Group, place: SageMakerPlace, labels: dict[str, str]) -> Manifest:
    served = group.served
    text = msgspec.json.encode(served.file, order="deterministic").decode()
    order = ServingOrder(service=text, models=served.models, keys=served.trust)
    network = {"subnets": list(place.subnets), "securityGroupIDs": list(place.security_groups)}
    spec = {
        "executionRoleARN": place.role,
        "primaryContainer": {"image": served.image, "environment": dict(order_variables(order))},
        **({"vpcConfig": network} if place.subnets else {}),
    }
    return _named(name, "Model", spec, labels, "modelName")


def _named(name: str, kind: str, spec: Manifest, labels: dict[str, str], word: str) -> Manifest:
    """An object whose name, in SageMaker too, is that of its content."""
    mark = hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()[:10]
    called = f"{name}-{mark}"
    metadata = {"name": called, "labels": labels}
    return {"apiVersion": SAGEMAKER, "kind": kind, "metadata": metadata, "spec": {word: called, **spec}}


def endpoint_problems(plan: Plan, chosen: Mapping[str, str]) -> Iterator[Shortfall]:
    """Services that are more than versions of a model, which alone an Endpoint of ours serves."""
    for step in plan.steps:
        work = step.work
        if chosen.get("serving") != ENDPOINT or not isinstance(work, Serve):
            continue
        if why := _more_than_models(work):
            message = f"{step.name} {why}, which an Endpoint of SageMaker does not"
            remedy = "remove `serve` from the target's `sagemaker`, or have it served on another target"
            yield Shortfall(step=step.name, setting=(), at_key=True, message=message, remedy=remedy)


def _more_than_models(work: Serve) -> str:
    shares = shares_of(work)
    known = {
        "runs code of its own": work.own is not None or bool(work.pipeline),
        "answers with a language model": work.llm is not None or work.assistant is not None,
        "searches an index": any(not each.model or each.model.startswith("index") for each in shares),
        "asks who calls": work.auth is not None,
        "watches drift": work.reference is not None,
        "shares requests by header, or copies them": any(each.headers or each.shadow for each in shares),
    }
    return next((why for why, is_so in known.items() if is_so), "")
