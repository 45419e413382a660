"""What the victim has that an attacker would want."""

from __future__ import annotations

import base64

from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.kubernetes.api import Manifest


def furnish(ns: ProbeNamespace, namespace: str, word: str) -> None:
    """Give the victim a secret, a config map, a lease, an account and a volume claim. `word` is what is in them."""
    for manifest in _objects(word):
        ns.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}})


def _objects(word: str) -> list[Manifest]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": ""}
    return [
        _object("v1", "Secret", "ledger", type="Opaque", data={"word": base64.b64encode(word.encode()).decode()}),
        _object("v1", "ConfigMap", "rates", data={"word": word}),
        _object("v1", "ServiceAccount", "owner", automountServiceAccountToken=False),
        _object("v1", "PersistentVolumeClaim", "vault", spec=claim),
        _object("coordination.k8s.io/v1", "Lease", "till-run", spec={"holderIdentity": "owner"}),
    ]


def _object(api_version: str, kind: str, name: str, **content: object) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}
