"""Servers that ask who calls them: what they are told, the Secret that they read, and what they may ask the cluster.

The content of the Secret is in no manifest and no record. It is made when the service is brought up (`work.callers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.cluster import RBAC
from plimsoll.runtime.server.identities.cluster_settings import PLACE, ClusterSettings
from plimsoll.runtime.server.identities.settings import OPTION, AuthSettings
from plimsoll.targets.kubernetes.manifests.groups import ServedVersions

SUFFIX = "-callers"
"""What the names of the Secret and of the account of such a service end with."""
TOKENS, KEYS, RUN = "tokens.json", "jwks.json", "run"
"""Keys of the Secret. The last one has the token of runs, which test the service with it."""
FILES = "/plimsoll/callers"
LIFETIME = 3600
"""Seconds of the account's token; the kubelet renews it before."""
API_PORTS = (443, 6443)
"""Where API servers answer."""
ISSUER_PORT = 443


def in_pods(auth: AuthSettings, name: str, namespace: str) -> AuthSettings:
    """The settings as a server in a pod takes them, of a service whose objects are called so.

    Metrics and drift are answered to whoever reaches the pods, as what scrapes and scales them sends no token.
    """
    jwt, kubernetes = auth.jwt, auth.kubernetes
    if jwt is not None and jwt.jwks and "://" not in jwt.jwks:
        jwt = replace(jwt, jwks=f"{FILES}/{KEYS}")
    if kubernetes is not None:
        roles = {role: replace(each, name=each.name or name) for role, each in kubernetes.roles.items()}
        kubernetes = replace(kubernetes, namespace=namespace, account=f"{name}{SUFFIX}", roles=roles)
    return replace(auth, tokens=f"{FILES}/{TOKENS}", jwt=jwt, kubernetes=kubernetes, anybody=("metrics",))


def secret_name(served: ServedVersions) -> str:
    """What the Secret of a service is called."""
    return f"{served.objects_name}{SUFFIX}"


def account_of(served: ServedVersions) -> str:
    """The account of its servers: one of their own where they ask the cluster about tokens."""
    return secret_name(served) if _asks(served) is not None else served.application


def rights_to_ask(served: ServedVersions, labels: dict[str, str]) -> Iterator[Manifest]:
    """An account that may ask in its namespace who may do what, and nothing else.

    Whose a token is can only be asked of the whole cluster: that right an administrator gives.
    """
    if _asks(served) is None:
        return
    name = account_of(served)
    metadata = {"name": name, "labels": labels}
    group = RBAC.partition("/")[0]
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}
    rule = {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}
    yield {"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": [rule]}
    yield {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name}],
    }


def words(served: ServedVersions) -> list[str]:
    """What the server is started with."""
    return [OPTION, msgspec.json.encode(served.auth, order="deterministic").decode()] if served.auth else []


def mounts(served: ServedVersions) -> list[Manifest]:
    """Where the server finds what it reads."""
    if served.auth is None:
        return []
    found = [{"name": "callers", "mountPath": FILES, "readOnly": True}]
    return [*found, {"name": "cluster", "mountPath": PLACE, "readOnly": True}] if _asks(served) else found


def volumes(served: ServedVersions) -> list[Manifest]:
    """The Secret, and the token of the account where the server asks the cluster."""
    if served.auth is None:
        return []
    secret: Manifest = {"secretName": secret_name(served), "defaultMode": 0o440}
    # What runs test the service with is none of the server's business.
    keys = [TOKENS, *([KEYS] if served.auth.jwt is not None and served.auth.jwt.jwks.startswith(FILES) else [])]
    found: list[Manifest] = [{"name": "callers", "secret": {**secret, "items": [{"key": k, "path": k} for k in keys]}}]
    if _asks(served) is None:
        return found
    return [*found, cluster_volume()]


def cluster_volume() -> Manifest:
    """The token of a pod's account, and what its API server is known by."""
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": LIFETIME}}
    authority = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return {"name": "cluster", "projected": {"defaultMode": 0o440, "sources": [token, authority]}}


def reached_ports(served: ServedVersions) -> tuple[int, ...]:
    """Ports of what the server asks about its callers."""
    found: list[int] = list(API_PORTS) if _asks(served) is not None else []
    jwt = served.auth.jwt if served.auth is not None else None
    if jwt is not None and not jwt.jwks.startswith(FILES):
        found.append(urlsplit(jwt.jwks or jwt.issuer).port or ISSUER_PORT)
    return tuple(dict.fromkeys(found))


def _asks(served: ServedVersions) -> ClusterSettings | None:
    return served.auth.kubernetes if served.auth is not None else None
