"""What of the node pods may reach: volumes, namespaces, ports, and settings of its kernel. Pure.

Source: the Pod Security Standards of Kubernetes, level restricted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from plimsoll.application.policies import Policies
from plimsoll.policy.objects.pods import PodSpec
from plimsoll.policy.objects.rule import Rule, context, each_container

VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
)
_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")


def _restricted(policies: Policies) -> bool:
    return policies.pods == "restricted"


def _volumes(pod: PodSpec, _: Policies) -> Iterator[str]:
    for volume in pod.volumes:
        # One without a source is an empty directory.
        kinds = {key for key, value in volume.items() if key != "name" and value is not None}
        if outside := sorted(kinds - set(VOLUMES)):
            yield f"volumes[{volume.get('name', '')}]: {', '.join(outside)}"


def _namespaces(pod: PodSpec, _: Policies) -> Iterator[str]:
    for word in _NAMESPACES:
        if pod.spec.get(word):
            yield f"{word}: true"
    for name, container in pod.containers:
        for port in container.get("ports") or ():
            if isinstance(port, dict) and port.get("hostPort"):
                yield f"{name}: hostPort {port['hostPort']}"


def _sysctls(pod: PodSpec, _: Policies) -> Iterator[str]:
    for each in context(pod.spec).get("sysctls") or ():
        if isinstance(each, dict) and each.get("name") not in SYSCTLS:
            yield f"sysctl {each.get('name')}"


def _volumes_expression(_: Policies) -> str:
    # A volume has one source at most, which the API server has checked and set by then.
    allowed = " || ".join(f"has(v.{each})" for each in VOLUMES)
    return f"variables.pods.all(p, !has(p.volumes) || p.volumes.all(v, !has(v.hostPath) && ({allowed})))"


def _namespaces_expression(_: Policies) -> str:
    pods = " && ".join(f"(!has(p.{word}) || p.{word} != true)" for word in _NAMESPACES)
    ports = each_container("!has(c.ports) || c.ports.all(o, !has(o.hostPort) || o.hostPort == 0)")
    return f"variables.pods.all(p, {pods}) && {ports}"


def _sysctls_expression(_: Policies) -> str:
    return (
        "variables.pods.all(p, !has(p.securityContext) || !has(p.securityContext.sysctls)"
        f" || p.securityContext.sysctls.all(s, s.name in {json.dumps(list(SYSCTLS))}))"
    )


RULES = (
    Rule(
        name="volumes",
        says="no volume is a path of the node, or of another kind that leads out of the namespace",
        remedy=f"use one of {', '.join(VOLUMES)}",
        asks=_restricted,
        problems=_volumes,
        cel=_volumes_expression,
    ),
    Rule(
        name="host-namespaces",
        says="no pod shares the network, processes, memory or ports of its node",
        remedy="remove hostNetwork, hostPID, hostIPC and hostPort; a Service leads to pods",
        asks=_restricted,
        problems=_namespaces,
        cel=_namespaces_expression,
    ),
    Rule(
        name="sysctls",
        says="no pod sets what concerns others on its node",
        remedy=f"remove the sysctl; allowed are {', '.join(SYSCTLS)}",
        asks=_restricted,
        problems=_sysctls,
        cel=_sysctls_expression,
    ),
)
