"""The account of the pod that this process runs in. Source: client-go, rest.InClusterConfig."""

from __future__ import annotations

import os
from pathlib import Path

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.access import Access
from plimsoll.kubernetes.kubeconfig.files import read_text

NAME = "in-cluster"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


def is_pod() -> bool:
    """Whether this process runs in a pod that has an account."""
    return bool(os.environ.get(_HOST) and os.environ.get(_PORT)) and (ACCOUNT / "token").exists()


def namespace() -> str:
    """The pod's namespace; empty where it is not said."""
    return (read_text(ACCOUNT / "namespace") or "").strip()


def access() -> Access:
    """The API server as pods reach it, with the account's token. Raises FileError without its authority."""
    host, port = os.environ[_HOST], os.environ[_PORT]
    authorities = ACCOUNT / "ca.crt"
    content = read_text(authorities)
    if content is None:
        hint = "let the pod mount its account's token: automountServiceAccountToken"
        raise FileError("the pod's account has no ca.crt", where=str(authorities), hint=hint)
    return Access(
        context=NAME,
        cluster=NAME,
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace(),
        authorities=content,
        token_file=str(ACCOUNT / "token"),
        where=str(ACCOUNT),
        authorities_where=str(authorities),
    )
