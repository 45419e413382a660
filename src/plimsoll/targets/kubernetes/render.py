"""What keeps running on a cluster, as manifests for Git. The same application gives the same manifests."""

from __future__ import annotations

from typing import cast

from plimsoll.errors import TargetError
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.serve import Serve
from plimsoll.kubernetes.api import Manifest
from plimsoll.planning.steps import Plan, Step
from plimsoll.targets.kubernetes.attempt import ClusterContext
from plimsoll.targets.kubernetes.manifests.identity import identity_of_plan
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.namespace import is_made, namespace_manifest
from plimsoll.targets.kubernetes.trust import trust_manifest
from plimsoll.targets.kubernetes.work.serve import served_of


def rendered(context: ClusterContext, plan: Plan) -> list[Manifest]:
    """Namespace (unless it is others'), keys, and every service's objects, each once.

    Raises TargetError for a model that is not there yet.
    """
    application, namespace = context.application, context.namespace
    there = context.api.find("v1", "Namespace", namespace)
    # A namespace of others stays theirs: whoever applies this is not to become its owner.
    ours = there is None or is_made(application, there)
    found = [namespace_manifest(application, namespace)] if ours else []
    found.append(trust_manifest(application, namespace))
    for manifest in identity_of_plan(plan, context.cluster):
        found.append({**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}})
    for step in plan.steps:
        work = step.work
        if not isinstance(work, Serve):
            continue
        if work.register_key is not None and context.state.result(work.register_key, RegisterResult) is None:
            hint = f"train it first: plimsoll run --target {context.cluster.target}"
            raise TargetError(f"the model of the service {work.service} is not trained yet", hint=hint)
        served = served_of(cast("Step[Serve]", step), context)
        for manifest in objects(served, context.cluster, context.chosen):
            placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
            if placed not in found:
                found.append(placed)
    return found
