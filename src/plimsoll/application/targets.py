"""The names that a file gives to targets: what each stands for, and what is wrong with one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.pod_identity import PodIdentity
from plimsoll.application.shape import suggest_name

LOCAL = "local"
"""The built-in name of this machine."""
_OF_CONTEXTS = ("namespace", "route", "identity", "sagemaker")
"""Words that say something of a cluster."""


def target_named(application: ApplicationSpec, name: str) -> str:
    """The target that a name stands for: `local` or a context. A name that the file does not give stands for itself."""
    named = application.targets.get(name)
    if named is None:
        return name
    return LOCAL if named.local else named.context or name


def names_of_targets(application: ApplicationSpec) -> Mapping[str, str]:
    """What the file calls each target: the first of the names that stand for it, and `local` for this machine."""
    found = {LOCAL: LOCAL}
    for name, named in application.targets.items():
        if named.devices is not None:
            continue
        found.setdefault(target_named(application, name), name)
    return found


def check_targets(file: ApplicationFile) -> None:
    """Raise FileError for a name of `spec.targets` that stands for nothing, or for two things."""
    for name, named in file.application.targets.items():
        at = ("spec", "targets", name)
        if name == LOCAL:
            text = f"'{LOCAL}' is this machine already"
            raise file.error(text, "choose another name", *at, at_key=True)
        if named.context is not None and named.local:
            text = f"the target '{name}' is both a context and this machine"
            raise file.error(text, "keep one of `context` and `local`", *at, at_key=True)
        if named.devices is not None:
            _check_devices(file, name)
            continue
        if named.context is None and not named.local:
            text = f"the target '{name}' says neither `context`, `local` nor `devices`"
            hint = (
                f"write {name}: {{context: CONTEXT}} with a context of your kubeconfig, {name}: {{local: true}}, "
                f"or {name}: {{devices: {{site: north}}}} for devices at the edge by their labels"
            )
            raise file.error(text, hint, *at, at_key=True)
        if named.context == LOCAL:
            text = f"the context of '{name}' would be taken for this machine"
            raise file.error(text, "write `local: true` for this machine, or rename the context", *at, "context")
        if named.identity is not None:
            _check_identity(file, name, named.identity)
        for word in _OF_CONTEXTS:
            if named.local and getattr(named, word) is not None:
                text = f"`{word}` is only for a context, and '{name}' is this machine"
                raise file.error(text, "remove it", *at, word, at_key=True)


def _check_devices(file: ApplicationFile, name: str) -> None:
    named = file.application.targets[name]
    if not named.devices:
        text = f"the target '{name}' names no label, and would be every device"
        raise file.error(text, "write devices: {site: north}", "spec", "targets", name, "devices")
    if named.context is not None or named.local:
        text = f"the target '{name}' is devices, and a context or this machine too"
        raise file.error(text, "keep one of `context`, `local` and `devices`", "spec", "targets", name, at_key=True)
    for word in _OF_CONTEXTS:
        if getattr(named, word) is not None:
            text = f"`{word}` is only for a context, and '{name}' is devices"
            hint = "remove it"
            if word == "route":
                hint = "remove it; where devices look is `registry` of their group in spec.edges"
            raise file.error(text, hint, "spec", "targets", name, word, at_key=True)


def _check_identity(file: ApplicationFile, name: str, identity: PodIdentity) -> None:
    """Raise FileError for an identity that says nobody, or two."""
    words = identity.words
    if len(words) == 1:
        return
    found = "nobody" if not words else " and ".join(f"`{word}`" for word in words)
    hint = "write one of awsRole (EKS), gcpAccount (GKE), azureClient (AKS) and account (one that is there)"
    raise file.error(f"the identity names {found}", hint, "spec", "targets", name, "identity", at_key=True)


def check_name(file: ApplicationFile, named: str, *at: str | int) -> None:
    """Raise FileError for a name that stands for no target of the file on which this part can be."""
    known = [name for name, each in file.application.targets.items() if each.devices is None] + [LOCAL]
    if named in known:
        return
    if named in file.application.targets:
        text = f"the target '{named}' is devices at the edge, and they run services alone"
        hint = f"name a context or {LOCAL} here, and the services of the devices in spec.edges"
        raise file.error(text, hint, *at)
    hint = suggest_name(named, known)
    if not file.application.targets:
        hint = f"name it: targets: {{{named}: {{context: CONTEXT}}}}, with a context of your kubeconfig"
    raise file.error(f"there is no target '{named}' in spec.targets", hint, *at)


def check_placement(file: ApplicationFile, named: str, target: str, *at: str | int) -> None:
    """Raise FileError for a part that names another target than that of the run."""
    application = file.application
    if target_named(application, named) == target_named(application, target):
        return
    if application.targets:
        check_name(file, named, *at)
    text = f"the part names the target '{named}', but the run is on '{target}'"
    if named in (*application.targets, LOCAL):
        hint = f"leave --target out: each part then runs where it says; or run all of it with --target {named}"
    else:
        hint = f"remove the target, or set target: {target}"
    raise file.error(text, hint, *at)
