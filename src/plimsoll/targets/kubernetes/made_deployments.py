"""Deployments of an application, those that KServe makes for its objects among them."""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.api import Api, ApiError, Manifest
from plimsoll.kubernetes.cluster import KSERVE_LLM
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.listing import listed
from plimsoll.targets.kubernetes.manifests.disaggregated import PREFILL
from plimsoll.targets.kubernetes.manifests.llm_inference_service import main_of, prefill_of

LLM_SERVICE = "LLMInferenceService"


def deployments(api: Api, namespace: str, selector: str) -> list[Manifest]:
    """Deployments with labels, each as if it were made by us.

    KServe gives what it makes for an LLMInferenceService labels of its own, so that it is found by its name.
    """
    found = [each for _, _, each in listed(api, [("apps/v1", "Deployment")], namespace, selector)]
    for _, _, owner in listed(api, [(KSERVE_LLM, LLM_SERVICE)], namespace, selector):
        found += _made_for(api, owner, namespace)
    return found


def _made_for(api: Api, owner: Manifest, namespace: str) -> Iterator[Manifest]:
    """The Deployments that KServe has made for an LLMInferenceService, as far as they may be read."""
    name = owner["metadata"]["name"]
    for each in (main_of(name), *((prefill_of(name),) if "prefill" in owner.get("spec", {}) else ())):
        try:
            made = api.find("apps/v1", "Deployment", each, namespace)
        except ApiError as error:
            if error.status != 403:
                raise
            return
        if made is not None:
            yield as_owned(made, owner)


def as_owned(made: Manifest, owner: Manifest) -> Manifest:
    """A Deployment with the labels of what it was made for, and the key of its step."""
    metadata, given = made["metadata"], owner["metadata"]
    reads = {names.VERSION: PREFILL} if metadata["name"] == prefill_of(given["name"]) else {}
    key = given.get("annotations", {}).get(names.KEY)
    annotations = {**metadata.get("annotations", {}), **({names.KEY: key} if key else {})}
    labels = {**metadata.get("labels", {}), **given.get("labels", {}), **reads}
    return {**made, "metadata": {**metadata, "labels": labels, "annotations": annotations}}
