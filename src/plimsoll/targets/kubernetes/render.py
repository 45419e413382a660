"""What stays on a cluster, as manifests for Git. The same application gives the same manifests."""

from __future__ import annotations

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Manifest
from plimsoll.planning.steps import Plan, Serve
from plimsoll.targets.kubernetes.context import Context
from plimsoll.targets.kubernetes.housekeeping import own_namespace, own_trust
from plimsoll.targets.kubernetes.manifests.serving import objects
from plimsoll.targets.kubernetes.work.serve import served_of


def rendered(context: Context, plan: Plan) -> list[Manifest]:
    """Namespace, keys, and every service's objects, each once. Raises TargetError for a model that is not there yet."""
    application, namespace = context.application, context.namespace
    found = [own_namespace(application, namespace), own_trust(application, namespace)]
    for step in plan.steps:
        if not isinstance(step.work, Serve):
            continue
        if step.work.register_key is not None and context.state.result(step.work.register_key) is None:
            hint = f"train it first: plimsoll run --target {context.cluster.target}"
            raise TargetError(f"the model of the service {step.work.service} is not trained yet", hint=hint)
        served = served_of(step, context)
        for manifest in objects(served, context.cluster, context.chosen):
            placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
            if placed not in found:
                found.append(placed)
    return found
