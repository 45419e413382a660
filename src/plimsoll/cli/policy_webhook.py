"""What `plimsoll policy webhook` renders: the objects with your keys and a new certificate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from plimsoll.errors import FileError
from plimsoll.home import config_home
from plimsoll.policy.admission.rendering import require_namespaces
from plimsoll.policy.admission.webhook import Asked, webhook, webhook_names
from plimsoll.policy.facts import Document
from plimsoll.registry.references import parse_reference
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.serving_certificates import DAYS, Authority

MOST_KEYS = 900_000
"""Bytes of all keys: a ConfigMap has a million at most."""


def rendered_webhook(
    namespace: str,
    guarded: Sequence[str],
    image: str,
    registries: Sequence[str],
    *,
    reached: Sequence[str] = (),
    since: str = "",
    secret: str = "",
    registry_ca: Path | None = None,
    plain_http: Sequence[str] = (),
    days: int = DAYS,
) -> list[Document]:
    """The objects. Raises FileError for names that are none, and TargetError for keys that cannot be read."""
    require_namespaces([namespace, *guarded])
    if namespace in guarded:
        hint = "give it a namespace of its own, such as plimsoll-admission"
        raise FileError("the webhook would have to admit its own pods", where="--namespace", hint=hint)
    for each in registries:
        if (
            each != each.lower()
            or "@" in each
            or parse_reference(f"{each.rstrip('/')}/x").registry != each.split("/")[0]
        ):
            hint = "a host in lower case, with a port or a path: registry.example/shop"
            raise FileError(f"'{each[:200]}' is no place of images", where="--registry", hint=hint)
    if not parse_reference(image).digest:
        hint = "name it by @sha256:…: nothing judges the image of what judges the others"
        raise FileError("the image of the webhook has no digest", where="--image", hint=hint)
    keys = KeyRing.default().files()
    if sum(map(len, keys.values())) > MOST_KEYS:
        raise FileError(f"the trusted keys have more than {MOST_KEYS} bytes", hint="remove some from keys/trusted")
    authority = Authority.kept(config_home() / "plimsoll" / "admission")
    issued = authority.issue(webhook_names(namespace), days)
    options = [word for pair in reached for word in ("--reached", pair)] + (["--since", since] if since else [])
    return webhook(
        Asked(
            namespace=namespace,
            guarded=tuple(sorted(set(guarded))),
            image=image,
            registries=tuple(registries),
            keys=keys,
            authority=authority.certificate,
            certificate=issued.certificate,
            key=issued.key,
            options=tuple(options),
            secret=secret,
            registry_ca=_read(registry_ca) if registry_ca is not None else "",
            plain_http=tuple(plain_http),
        )
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the certificates cannot be read: {error}", where=str(path)) from error
