"""What leads requests to a service's servers, changed in such an order that no request is led to nobody.

A gateway says that it has taken a route before its proxies follow it, and Envoy takes a route before it knows the
servers that are new in it. So what is new is shown to it first, under a header that no request has, and what leaves is
put under such a header before it is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.targets.kubernetes.context import Attempt, Context
from plimsoll.targets.kubernetes.housekeeping import leaving
from plimsoll.targets.kubernetes.manifests.traffic import veiled

LEADING = ("Service", "HTTPRoute", "BackendTrafficPolicy")
"""What is applied once servers are ready. A gateway that finds one not ready may not look again for a minute, and leads
requests to whatever there is until then."""
FOLLOWED = 4.0
"""Seconds within which proxies follow a change."""


def lead(attempt: Attempt, held: Sequence[Manifest]) -> None:
    """Apply what leads, in its order."""
    context = attempt.context
    known = [each for each in held if there(context, each) is not None]
    fresh = [each for each in held if each["kind"] == "HTTPRoute" and each not in known]
    if fresh and any(each["kind"] == "HTTPRoute" for each in known):
        for each in held:
            if each["kind"] != "HTTPRoute":
                apply(context, each)
        for each in fresh:
            apply(context, {**each, "spec": {**each["spec"], "rules": veiled(each["spec"]["rules"])}})
        attempt.stopping.wait(FOLLOWED)
    for each in held:
        apply(context, each)


def let_go(attempt: Attempt, service: str, kept: Sequence[Manifest]) -> int:
    """Delete what the service had before and no longer has, once nothing leads to it; gives how many objects."""
    context = attempt.context
    gone = leaving(context.api, context.application, context.namespace, service, kept)
    if not gone:
        return 0
    for each in gone:
        if each["kind"] == "HTTPRoute":
            context.api.patch(each, {"spec": {"rules": veiled(each["spec"]["rules"])}})
    attempt.stopping.wait(FOLLOWED)
    for each in gone:
        context.api.delete(each["apiVersion"], each["kind"], each["metadata"]["name"], context.namespace)
    return len(gone)


def apply(context: Context, manifest: Manifest) -> None:
    """Apply an object in the application's namespace."""
    context.api.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": context.namespace}})


def there(context: Context, manifest: Manifest) -> Manifest | None:
    """The object as the cluster has it."""
    place = (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"])
    return context.api.find(*place, context.namespace)
