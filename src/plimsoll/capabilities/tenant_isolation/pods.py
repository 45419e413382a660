"""What the pods of the tenants try: scripts that say of each try what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plimsoll.kubernetes.api import Manifest

PORT = 8080
_FUNCTIONS = """\
try() { if curl -s -m 4 -o /tmp/said "$2"; then echo "try $1 reached $(head -c 60 /tmp/said)"; else
echo "try $1 refused curl $?"; fi; }
read_word() { if [ -s "$2" ]; then echo "try $1 reached $(sha256sum < $2 | cut -c 1-64)"; else
echo "try $1 refused nothing is there"; fi; }
"""
_SETTLE = "sleep 5"
"""A network may take a moment until it knows a new pod, and the rules for it."""
LOOT = (("secret-volume", "ledger"), ("config-volume", "rates"))
_DIGEST = 64


def script(tries: Sequence[tuple[str, str]], loot: bool) -> str:
    """A shell script that requests each address, and reads what is mounted."""
    lines = [_FUNCTIONS, _SETTLE]
    lines += [f"try {name} {address}" for name, address in tries]
    lines += [f"read_word {name} /loot/{place}/word" for name, place in LOOT] if loot else []
    return "\n".join([*lines, "echo done"])


def mounts() -> tuple[Manifest, Manifest]:
    """The fields of a container and of a pod that mount a secret and a config map by name, where there are any."""
    sources: Mapping[str, Manifest] = {
        "ledger": {"secret": {"secretName": "ledger", "optional": True}},
        "rates": {"configMap": {"name": "rates", "optional": True}},
    }
    container = {"volumeMounts": [{"name": each, "mountPath": f"/loot/{each}"} for each in sources]}
    return container, {"volumes": [{"name": name, **source} for name, source in sources.items()]}


def said(log: str) -> dict[str, str]:
    """What a log says of each try; nothing of one that was cut off before its end."""
    lines = log.splitlines()
    if "done" not in lines:
        return {}
    words = [line.split(" ", 2) for line in lines if line.startswith("try ")]
    return {parts[1]: parts[2][:120] for parts in words if len(parts) == 3}
