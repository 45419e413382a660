"""The way in for a tenant's people who have no user of their own: a token for a time, in a kubeconfig."""

from __future__ import annotations

import base64

import yaml

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.kubeconfig import named
from plimsoll.tenants.tenant import OBJECT


def token(api: Api, tenant: str, seconds: int) -> tuple[str, str]:
    """A token of the account of a tenant's people, and when it ends. Raises ApiError."""
    place = f"{api.path('v1', 'ServiceAccount', tenant, OBJECT)}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    status: Manifest = api.request("POST", place, body=body).get("status") or {}
    if not status.get("token"):
        raise TargetError("the cluster gave no token", where=api.target, hint="see whether it issues tokens at all")
    return str(status["token"]), str(status.get("expirationTimestamp", ""))


def kubeconfig(api: Api, tenant: str, bearer: str) -> str:
    """A kubeconfig with one context, named as the tenant, that leads to the same server."""
    access = named(api.target)
    cluster: Manifest = {"server": access.server}
    if access.insecure:
        cluster["insecure-skip-tls-verify"] = True
    elif access.authorities is not None:
        cluster["certificate-authority-data"] = base64.b64encode(access.authorities.encode()).decode()
    if access.tls_server_name:
        cluster["tls-server-name"] = access.tls_server_name
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": tenant, "cluster": cluster}],
        "users": [{"name": tenant, "user": {"token": bearer}}],
        "contexts": [{"name": tenant, "context": {"cluster": tenant, "user": tenant, "namespace": tenant}}],
        "current-context": tenant,
    }
    return str(yaml.safe_dump(content, sort_keys=False))
