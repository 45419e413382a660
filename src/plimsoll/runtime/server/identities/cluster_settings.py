"""Callers who are known by a cluster: what a server is told of them. Planning imports this module."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.runtime.server.identities.callers import Role

PLACE = "/plimsoll/cluster"
"""Where a pod has the token of its account and the certificate of the API server."""


class Right(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An act that RBAC lets somebody do; `resource` is plural, with its part, such as `services/proxy`."""

    verb: str
    resource: str
    group: str = ""
    name: str = ""


class ClusterSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Callers with tokens of a cluster: each role is for whoever may do what it names, in the namespace.

    `audience` is what tokens have to be for; empty for the API server's own. `account` is the server's own, for what
    its administrator has to be told. `server` and `place` are how the API server is reached, from a pod when empty.
    """

    namespace: str
    roles: dict[Role, Right]
    audience: str = ""
    account: str = ""
    server: str = ""
    place: str = PLACE


def leave_to_ask(namespace: str, account: str) -> str:
    """The command by which an administrator lets an account ask whose a token is."""
    return (
        f"kubectl create clusterrolebinding plimsoll-{namespace}-{account}"
        f" --clusterrole=system:auth-delegator --serviceaccount={namespace}:{account}"
    )


DEFAULT_ROLES: dict[Role, Right] = {"infer": Right(verb="create", resource="services/proxy")}
"""Whoever may send requests to the service through the API server may send them to it."""
