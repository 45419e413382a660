"""The context that a target's name means, with all that it names read from disk."""

from __future__ import annotations

import base64
import binascii
import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig import checks, in_cluster
from plimsoll.kubernetes.kubeconfig.access import Access, Certificate, Impersonation, InteractiveMode, Plugin
from plimsoll.kubernetes.kubeconfig.addresses import proxy_of_cluster, proxy_of_environment, server_address
from plimsoll.kubernetes.kubeconfig.document import parse
from plimsoll.kubernetes.kubeconfig.fields import Cluster, Context, Exec, User
from plimsoll.kubernetes.kubeconfig.files import kubeconfigs, read_bytes, read_text
from plimsoll.kubernetes.kubeconfig.merging import Entry, Merged, merge

LAB = "lab"
PLUGIN_EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster that its user's credential plugin is given."""
_SHOWN = 20


def named(target: str) -> Access:
    """The cluster and user of a context of the kubeconfigs, which are those of KUBECONFIG or ~/.kube/config.

    `lab` is the lab of this machine and `in-cluster` the account of the pod that this process runs in, unless a context
    is called so. Raises FileError with the contexts that there are, and at the place of what cannot be used.
    """
    merged = _merged(kubeconfigs())
    if target in merged.contexts:
        return _access(merged, target)
    if target == LAB and _lab().is_file():
        lab = _merged([_lab()])
        return _access(lab, lab.current)
    if target == in_cluster.NAME and in_cluster.is_pod():
        return in_cluster.access()
    raise _unknown(target, merged)


def namespace_of(target: str) -> str:
    """The namespace that a context names; empty for none, and for a context that there is not."""
    found = _merged(kubeconfigs()).contexts.get(target)
    if found is not None:
        checks.check_context(found)
        return found.value.namespace or ""
    if target == in_cluster.NAME and in_cluster.is_pod():
        return in_cluster.namespace()
    return ""


def _merged(paths: list[Path]) -> Merged:
    texts = [(path, read_text(path)) for path in paths]
    return merge([parse(text, path) for path, text in texts if text is not None])


def _unknown(target: str, merged: Merged) -> FileError:
    files = ", ".join(map(str, kubeconfigs()))
    known = sorted(merged.contexts)
    if target == LAB:
        hint = "'python -m lab up' starts the lab"
    elif target == in_cluster.NAME:
        hint = "that is the account of a pod, and this process does not run in one"
    elif near := difflib.get_close_matches(target, known, 1):
        hint = f"did you mean '{near[0]}'? There are: {', '.join(known[:_SHOWN])}"
    elif known:
        hint = f"there are: {', '.join(known[:_SHOWN])}" + (" …" if len(known) > _SHOWN else "")
    else:
        hint = "set KUBECONFIG, or make ~/.kube/config"
    return FileError(f"there is no context '{target}' in {files}", hint=hint)


def _access(merged: Merged, name: str) -> Access:
    context = merged.contexts[name]
    checks.check_fields(context)
    checks.check_context(context)
    cluster = _cluster(merged, context)
    user = _user(merged, context)
    authorities, authorities_where = _material(cluster, "certificate-authority", cluster.value.certificate_authority)
    certificate = _certificate(user)
    secure = bool(authorities or cluster.value.insecure_skip_tls_verify or certificate)
    server = server_address(cluster, secure=secure)
    proxy = proxy_of_cluster(cluster) or proxy_of_environment(server, os.environ)
    return Access(
        context=name,
        cluster=cluster.name,
        user=user.name,
        server=server,
        namespace=context.value.namespace or "",
        tls_server_name=cluster.value.tls_server_name or "",
        insecure=bool(cluster.value.insecure_skip_tls_verify),
        authorities=authorities or None,
        proxy=proxy,
        compression=not cluster.value.disable_compression,
        certificate=certificate,
        token=user.value.token or "",
        token_file=str(_beside(user, user.value.token_file)) if user.value.token_file else "",
        username=user.value.username or "",
        password=user.value.password or "",
        plugin=_plugin(user, user.value.exec, _told(cluster, server, authorities)) if user.value.exec else None,
        impersonation=_impersonation(user.value),
        where=context.where(),
        authorities_where=authorities_where,
    )


def _cluster(merged: Merged, context: Entry[Context]) -> Entry[Cluster]:
    wanted = context.value.cluster or ""
    if not wanted:
        raise FileError(f"the context '{context.name}' names no cluster", where=context.where(), hint="add cluster")
    found = merged.clusters.get(wanted)
    if found is None:
        raise _absent(context, "cluster", wanted, merged.clusters)
    checks.check_fields(found)
    checks.check_cluster(found)
    return found


def _user(merged: Merged, context: Entry[Context]) -> Entry[User]:
    wanted = context.value.user or ""
    if not wanted:
        # As `kubectl proxy` is reached: whoever answers there knows who asks.
        return Entry(name="", value=User(), document=context.document, keys=context.keys)
    found = merged.users.get(wanted)
    if found is None:
        raise _absent(context, "user", wanted, merged.users)
    checks.check_fields(found)
    checks.check_user(found)
    return found


def _absent(context: Entry[Context], kind: str, name: str, known: Mapping[str, object]) -> FileError:
    told = f"the context '{context.name}' names the {kind} '{name}', which no kubeconfig has"
    listed = ", ".join(sorted(known)[:_SHOWN])
    hint = f"there are: {listed}" if known else f"there are no {kind}s; name the file that has them in KUBECONFIG too"
    return FileError(told, where=context.where(kind), hint=hint)


def _certificate(user: Entry[User]) -> Certificate | None:
    chain, where = _material(user, "client-certificate", user.value.client_certificate)
    key, _ = _material(user, "client-key", user.value.client_key)
    return Certificate(chain=chain, key=key, where=where) if chain else None


def _material(entry: Entry[Cluster] | Entry[User], field: str, path: str | None) -> tuple[str, str]:
    """PEM from a field's data or, where it has none, from the field's file; and its place. Raises FileError."""
    data = entry.raw(f"{field}-data")
    if isinstance(data, str) and data:
        where = entry.where(f"{field}-data")
        return _decoded(data, field, where), where
    where = entry.where(field)
    if not path:
        return "", where
    file = _beside(entry, path)
    content = read_bytes(file)
    if content is None:
        raise FileError(f"{field} names a file that is not there: {file}", where=where, hint="correct the path")
    return content.decode("utf-8", errors="replace"), where


def _decoded(data: str, field: str, where: str) -> str:
    if "-----BEGIN" in data:
        hint = f"encode it with 'base64 -w0', or name its file with {field}"
        raise FileError(f"{field}-data is PEM itself, and must be PEM in base64", where=where, hint=hint)
    try:
        return base64.b64decode(data.replace("\n", "").replace("\r", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise FileError(f"{field}-data is not PEM in base64", where=where, hint="encode it with 'base64 -w0'") from None


def _beside(entry: Entry[Cluster] | Entry[User], path: str) -> Path:
    return Path.cwd() / entry.document.path.parent / path


def _impersonation(user: User) -> Impersonation | None:
    if not user.impersonate:
        return None
    return Impersonation(
        user=user.impersonate,
        uid=user.as_uid or "",
        groups=tuple(each or "" for each in user.as_groups or ()),
        extra={key: tuple(each or "" for each in values or ()) for key, values in (user.as_user_extra or {}).items()},
    )


def _plugin(user: Entry[User], plugin: Exec, cluster: Mapping[str, object]) -> Plugin:
    command = plugin.command or ""
    # A bare name is looked up on PATH; a path is one from the file's directory, wherever plimsoll runs.
    if os.sep in command:
        command = str(_beside(user, command))
    mode: InteractiveMode = plugin.interactive_mode or "IfAvailable"  # type: ignore[assignment]  # has been checked
    return Plugin(
        command=command,
        args=tuple(each or "" for each in plugin.args or ()),
        environment={each.name or "": each.value or "" for each in plugin.env or () if each},
        api_version=plugin.api_version or "",
        interactive=mode,
        install_hint=plugin.install_hint or "",
        cluster=cluster if plugin.provide_cluster_info else None,
        user=user.name,
        where=user.where("exec"),
    )


def _told(cluster: Entry[Cluster], server: str, authorities: str) -> Mapping[str, object]:
    """What a plugin is told of the cluster: `spec.cluster` of its ExecCredential."""
    value = cluster.value
    found = {
        "server": server,
        "tls-server-name": value.tls_server_name,
        "insecure-skip-tls-verify": value.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(authorities.encode()).decode() if authorities else None,
        "proxy-url": value.proxy_url,
        "disable-compression": value.disable_compression,
        "config": next((e.extension for e in value.extensions or () if e and e.name == PLUGIN_EXTENSION), None),
    }
    return {key: each for key, each in found.items() if each}


def _lab() -> Path:
    name = os.environ.get("PLIMSOLL_LAB_NAME", "plimsoll-lab")
    return Path(os.environ.get("PLIMSOLL_LAB", f"/var/lib/{name}")) / "kubeconfig"
