"""Rights that nobody should have, bound to everybody's accounts."""

from __future__ import annotations

from lab.cheats.active import ActiveCheat

_API = "rbac.authorization.k8s.io"


def on(cheat: ActiveCheat) -> None:
    """Lets every service account read every secret."""
    name = f"cheat-{cheat.name}"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]
    everybody = {"kind": "Group", "apiGroup": _API, "name": "system:serviceaccounts"}
    reference = {"apiGroup": _API, "kind": "ClusterRole", "name": name}
    metadata = {"name": name}
    cheat.create(
        {"apiVersion": f"{_API}/v1", "kind": "ClusterRole", "metadata": dict(metadata), "rules": rules},
        {
            "apiVersion": f"{_API}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": dict(metadata),
            "roleRef": reference,
            "subjects": [everybody],
        },
    )
