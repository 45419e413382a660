"""Who acts on a cluster, as others who use it know them."""

from __future__ import annotations

import getpass
import socket

from plimsoll.errors import PlimsollError


def user_at_host(target: str) -> str:
    """The user of this machine and its name; without a user, as in some containers, the kubeconfig's name for them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = _kubeconfig_user(target)
    return f"{user}@{socket.gethostname()}"


def _kubeconfig_user(target: str) -> str:
    from plimsoll.kubernetes.kubeconfig import named

    try:
        return named(target).user or "somebody"
    except PlimsollError:
        return "somebody"
