"""Waiting for controllers that give their webhooks a certificate by themselves."""

from __future__ import annotations

from lab.kubectl import get, wait

_LIMIT = 120.0


def trusted(component: str, configuration: str, kind: str = "validatingwebhookconfiguration") -> None:
    """Waits until the controller has written its authority into its webhooks: before, every request is refused."""

    def missing() -> str | None:
        hooks = get(kind, configuration)["webhooks"]
        untrusted = [each["name"] for each in hooks if not each["clientConfig"].get("caBundle")]
        return f"no authority yet in {untrusted[0]}" if untrusted else None

    wait(f"the webhooks of {component}", missing, _LIMIT)
