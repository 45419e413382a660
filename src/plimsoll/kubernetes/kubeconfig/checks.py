"""What a chosen context may not say. Pure. Source: client-go, tools/clientcmd/validation.go and rest/transport.go."""

from __future__ import annotations

import difflib
import re

import msgspec

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.fields import Cluster, Context, Exec, User, Variable
from plimsoll.kubernetes.kubeconfig.merging import Entry

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
MODES = ("Never", "IfAvailable", "Always")
_PROVIDERS = {
    "gcp": "install gke-gcloud-auth-plugin, and run 'gcloud container clusters get-credentials' again",
    "azure": "install kubelogin, and run 'kubelogin convert-kubeconfig'",
    "oidc": "use an exec plugin, such as kubelogin ('kubectl oidc-login setup')",
}
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_fields(entry: Entry[Context] | Entry[Cluster] | Entry[User]) -> None:
    """Raises FileError for a field that is not known, which would otherwise be passed over in silence."""
    _known(entry, (), type(entry.value))
    if isinstance(entry.value, User) and entry.value.exec is not None:
        _known(entry, ("exec",), Exec)
        for number, _ in enumerate(entry.value.exec.env or ()):
            _known(entry, ("exec", "env", number), Variable)


def _known(entry: Entry[Context] | Entry[Cluster] | Entry[User], keys: tuple[str | int, ...], kind: type) -> None:
    fields = [each.encode_name for each in msgspec.structs.fields(kind)]
    raw = entry.raw(*keys)
    for name in raw if isinstance(raw, dict) else ():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            where = entry.document.places.where_key(*entry.keys, *keys, name)
            hint = f"did you mean '{near[0]}'?" if near else f"remove it; there are: {', '.join(sorted(fields))}"
            raise FileError(f"a kubeconfig has no field '{name}' here", where=where, hint=hint)


def check_context(entry: Entry[Context]) -> None:
    """Raises FileError for a namespace that cannot be one."""
    namespace = entry.value.namespace
    if namespace and not _LABEL.fullmatch(namespace):
        told = f"the namespace '{namespace}' of the context '{entry.name}' is no name of a namespace"
        hint = "lower-case letters, digits and '-', at most 63 of them"
        raise FileError(told, where=entry.where("namespace"), hint=hint)


def check_cluster(entry: Entry[Cluster]) -> None:
    """Raises FileError for what contradicts itself."""
    cluster = entry.value
    if cluster.insecure_skip_tls_verify and (cluster.certificate_authority or cluster.certificate_authority_data):
        told = f"the cluster '{entry.name}' has certificate-authority and insecure-skip-tls-verify"
        where = entry.where("insecure-skip-tls-verify")
        raise FileError(told, where=where, hint="remove insecure-skip-tls-verify, so that the certificate is checked")


def check_user(entry: Entry[User]) -> None:
    """Raises FileError for what contradicts itself, and for a way of authentication that there is no more."""
    user = entry.value
    if user.auth_provider is not None:
        provider = user.auth_provider.name or ""
        told = f"the user '{entry.name}' has the auth-provider '{provider}', which is not supported"
        hint = _PROVIDERS.get(provider, "use an exec plugin of your platform in its place")
        raise FileError(told, where=entry.where("auth-provider"), hint=hint)
    if user.token and (user.username or user.password):
        told = f"the user '{entry.name}' has a token and a password; only one of them can be sent"
        raise FileError(told, where=entry.where("token"), hint="remove one of the two")
    if user.password and not user.username:
        told = f"the user '{entry.name}' has a password and no username"
        raise FileError(told, where=entry.where("password"), hint="add the username")
    if ":" in (user.username or ""):
        told = f"the username of the user '{entry.name}' has a colon, which basic authentication cannot send"
        raise FileError(told, where=entry.where("username"), hint="use a token or a certificate")
    _check_certificate(entry)
    _check_impersonation(entry)
    if user.exec is not None:
        _check_exec(entry, user.exec)
    for field, value in (("token", user.token), ("username", user.username), ("password", user.password)):
        check_line(entry, field, value or "")


def check_line(entry: Entry[User], field: str, value: str) -> None:
    """Raises FileError for what a header cannot have."""
    if _CONTROL.search(value):
        told = f"the {field} of the user '{entry.name}' has a line break or another control character"
        raise FileError(told, where=entry.where(field), hint="write it on one line, without a line break at its end")


def _check_certificate(entry: Entry[User]) -> None:
    user = entry.value
    has_certificate = bool(user.client_certificate or user.client_certificate_data)
    has_key = bool(user.client_key or user.client_key_data)
    if has_certificate and not has_key:
        told = f"the user '{entry.name}' has a client-certificate and no key"
        raise FileError(told, where=entry.where(), hint="add client-key or client-key-data")
    if has_key and not has_certificate:
        told = f"the user '{entry.name}' has a client-key and no certificate"
        raise FileError(told, where=entry.where(), hint="add client-certificate or client-certificate-data")


def _check_impersonation(entry: Entry[User]) -> None:
    user = entry.value
    for field, value in (("as-uid", user.as_uid), ("as-groups", user.as_groups), ("as-user-extra", user.as_user_extra)):
        if value and not user.impersonate:
            told = f"the user '{entry.name}' has {field} without 'as'"
            raise FileError(told, where=entry.where(field), hint="say with 'as' which user the requests are made as")
    check_line(entry, "as", user.impersonate or "")
    check_line(entry, "as-uid", user.as_uid or "")
    for group in user.as_groups or ():
        check_line(entry, "as-groups", group or "")
    for key, values in (user.as_user_extra or {}).items():
        if not key:
            raise FileError("a key of as-user-extra is empty", where=entry.where("as-user-extra"), hint="name it")
        for value in values or ():
            check_line(entry, "as-user-extra", value or "")


def _check_exec(entry: Entry[User], plugin: Exec) -> None:
    if not plugin.command:
        told = f"the credential plugin of the user '{entry.name}' has no command"
        raise FileError(told, where=entry.where("exec"), hint="add command: the plugin's program")
    if not plugin.api_version:
        told = f"the credential plugin of the user '{entry.name}' has no apiVersion"
        raise FileError(told, where=entry.where("exec"), hint=f"add apiVersion: {API_VERSIONS[0]}")
    if plugin.api_version not in API_VERSIONS:
        told = f"the credential plugin '{plugin.command}' has apiVersion {plugin.api_version}, which is not supported"
        hint = f"have your platform write the kubeconfig anew; there are: {', '.join(API_VERSIONS)}"
        raise FileError(told, where=entry.where("exec", "apiVersion"), hint=hint)
    if not plugin.interactive_mode and plugin.api_version == API_VERSIONS[0]:
        told = f"the credential plugin '{plugin.command}' has no interactiveMode, which {API_VERSIONS[0]} demands"
        raise FileError(told, where=entry.where("exec"), hint=f"add interactiveMode: {', '.join(MODES)}")
    if plugin.interactive_mode and plugin.interactive_mode not in MODES:
        told = f"there is no interactiveMode '{plugin.interactive_mode}'"
        raise FileError(told, where=entry.where("exec", "interactiveMode"), hint=f"there are: {', '.join(MODES)}")
    for number, variable in enumerate(plugin.env or ()):
        name = (variable and variable.name) or ""
        if not name or "=" in name or "\0" in name + ((variable and variable.value) or ""):
            told = f"a variable of the credential plugin '{plugin.command}' has no name that a variable can have"
            raise FileError(told, where=entry.where("exec", "env", number), hint="give it a name")
    if "\0" in plugin.command + "".join(each or "" for each in plugin.args or ()):
        told = f"the command of the credential plugin of the user '{entry.name}' has a zero character"
        raise FileError(told, where=entry.where("exec", "command"), hint="write it without")
