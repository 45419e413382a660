"""Deployments of an application, those that KServe makes for its objects among them."""

from __future__ import annotations

from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import KSERVE_LLM
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.listing import listed
from plimsoll.targets.kubernetes.manifests.llm_inference_service import main_of

LLM_SERVICE = "LLMInferenceService"


def deployments(api: Api, namespace: str, selector: str) -> list[Manifest]:
    """Deployments with labels, each as if it were made by us.

    KServe gives what it makes for an LLMInferenceService labels of its own, so that it is found by its name.
    """
    found = [each for _, _, each in listed(api, [("apps/v1", "Deployment")], namespace, selector)]
    for _, _, owner in listed(api, [(KSERVE_LLM, LLM_SERVICE)], namespace, selector):
        made = deployment_of(api, owner, namespace)
        found += [made] if made is not None else []
    return found


def deployment_of(api: Api, owner: Manifest, namespace: str) -> Manifest | None:
    """The Deployment that KServe has made for an LLMInferenceService, with its labels and the key of its step."""
    try:
        made = api.find("apps/v1", "Deployment", main_of(owner["metadata"]["name"]), namespace)
    except ApiError as error:
        if error.status != 403:
            raise
        return None
    return None if made is None else as_owned(made, owner)


def as_owned(made: Manifest, owner: Manifest) -> Manifest:
    """A Deployment with the labels of what it was made for, and its key."""
    metadata, given = made["metadata"], owner["metadata"]
    key = given.get("annotations", {}).get(names.KEY)
    annotations = {**metadata.get("annotations", {}), **({names.KEY: key} if key else {})}
    labels = {**metadata.get("labels", {}), **given.get("labels", {})}
    return {**made, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
