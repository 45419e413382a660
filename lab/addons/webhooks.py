"""Waiting for controllers that give their webhooks a certificate by themselves."""

from __future__ import annotations

import json

from lab.addons.upstream import Manifest
from lab.errors import LabError
from lab.kubectl import get, kubectl, wait

_LIMIT = 120.0


def wait_for_ca_bundle(component: str, configuration: str, kind: str = "validatingwebhookconfiguration") -> None:
    """Waits until the controller has written its authority into its webhooks: before, every request is refused."""

    def missing() -> str | None:
        hooks = get(kind, configuration)["webhooks"]
        untrusted = [each["name"] for each in hooks if not each["clientConfig"].get("caBundle")]
        return f"no authority yet in {untrusted[0]}" if untrusted else None

    wait(f"the webhooks of {component}", missing, _LIMIT)


def wait_for_answer(component: str, manifest: Manifest) -> str:
    """Waits until the controller's webhook says anything about an object, and gives its refusal. Nothing is kept of it.

    A controller may call itself ready before the certificate that it has made for itself has come back to it as a file.
    """

    refusal = ""

    def missing() -> str | None:
        nonlocal refusal
        try:
            kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
        except LabError as error:
            refusal = str(error)
        else:
            refusal = ""
        return refusal if "failed calling webhook" in refusal else None

    wait(f"the webhook of {component}", missing, _LIMIT)
    return refusal
