"""Pod Security levels of namespaces: baseline and restricted, as far as pods of applications meet them.

Source: the Pod Security Standards, enforced by the label pod-security.kubernetes.io/enforce.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll.kubernetes.memory.refusals import Manifest, forbidden

ENFORCE = "pod-security.kubernetes.io/enforce"
_ADDABLE = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def check_level(namespace: Manifest, pod: Manifest) -> None:
    """Raises StatusError (403) for a pod that the level of its namespace does not allow."""
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE, "privileged")
    problems = list(_baseline(pod["spec"])) if level in ("baseline", "restricted") else []
    problems += _restricted(pod["spec"]) if level == "restricted" else []
    if problems:
        why = f'violates PodSecurity "{level}:latest": {", ".join(problems)}'
        raise forbidden("pods", pod["metadata"].get("name", ""), "", why)


def _containers(spec: Manifest) -> Iterator[tuple[str, Manifest]]:
    for group in ("initContainers", "containers"):
        for each in spec.get(group) or []:
            yield str(each.get("name", "")), each.get("securityContext") or {}


def _baseline(spec: Manifest) -> Iterator[str]:
    hosts = [f"{each}=true" for each in ("hostNetwork", "hostPID", "hostIPC") if spec.get(each)]
    if hosts:
        yield f"host namespaces ({', '.join(hosts)})"
    for each in spec.get("volumes") or []:
        if "hostPath" in each:
            yield f'hostPath volumes (volume "{each.get("name")}")'
    for name, context in _containers(spec):
        if context.get("privileged"):
            yield f'privileged (container "{name}" must not set securityContext.privileged=true)'
        if context.get("procMount", "Default") != "Default":
            yield f'procMount (container "{name}" must not set securityContext.procMount to "{context["procMount"]}")'
        if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
            yield f'seccompProfile (container "{name}" must not set seccompProfile.type to "Unconfined")'
        added = set((context.get("capabilities") or {}).get("add") or []) - _ADDABLE
        if added:
            yield f'non-default capabilities (container "{name}" must not include {sorted(added)})'
    for group in ("containers", "initContainers"):
        for each in spec.get(group) or []:
            if any(port.get("hostPort") for port in each.get("ports") or []):
                yield f'hostPort (container "{each.get("name")}" uses a hostPort)'


def _restricted(spec: Manifest) -> list[str]:
    whole: Manifest = spec.get("securityContext") or {}
    found = []
    for name, context in _containers(spec):
        if context.get("allowPrivilegeEscalation") is not False:
            found.append(
                f'allowPrivilegeEscalation != false (container "{name}" must set '
                "securityContext.allowPrivilegeEscalation=false)"
            )
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or []) or set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
            found.append(
                f'unrestricted capabilities (container "{name}" must set securityContext.capabilities.drop=["ALL"])'
            )
        if context.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            found.append(f'runAsNonRoot != true (pod or container "{name}" must set securityContext.runAsNonRoot=true)')
        if context.get("runAsUser", whole.get("runAsUser")) == 0:
            found.append(f'runAsUser=0 (container "{name}" must not set runAsUser=0)')
        profile = (context.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            found.append(
                f'seccompProfile (pod or container "{name}" must set securityContext.seccompProfile.type to '
                '"RuntimeDefault" or "Localhost")'
            )
    for each in spec.get("volumes") or []:
        if not set(each) - {"name"} <= _VOLUMES:
            found.append(f'restricted volume types (volume "{each.get("name")}" uses a restricted volume type)')
    return found
