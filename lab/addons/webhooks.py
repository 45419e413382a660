"""Waits for controllers that create the certificates of their own webhooks."""

from __future__ import annotations

import json

from lab.addons.upstream import Manifest
from lab.errors import LabError
from lab.kubectl import get, kubectl, wait

_LIMIT = 120.0


def wait_for_ca_bundle(component: str, configuration: str, kind: str = "validatingwebhookconfiguration") -> None:
    """Waits until the controller has written its CA bundle into its webhooks. Before, every request fails."""

    def missing() -> str | None:
        hooks = get(kind, configuration)["webhooks"]
        untrusted = [each["name"] for each in hooks if not each["clientConfig"].get("caBundle")]
        return f"{untrusted[0]} has no CA bundle yet" if untrusted else None

    wait(f"the webhooks of {component}", missing, _LIMIT)


def wait_for_answer(component: str, manifest: Manifest) -> str:
    """Waits until the controller's webhook answers about an object, by a dry run. Returns the refusal, or "".

    A controller may be ready before the certificate that it created reaches it as a file.
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
