"""The names that a file gives to targets: what each stands for, and what is wrong with one. Pure."""

from __future__ import annotations

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name

LOCAL = "local"
"""The built-in name of this machine."""


def target_named(application: ApplicationSpec, name: str) -> str:
    """The target that a name stands for: `local` or a context. A name that the file does not give stands for itself."""
    named = application.targets.get(name)
    if named is None:
        return name
    return LOCAL if named.local else named.context or name


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
        if named.context is None and not named.local:
            text = f"the target '{name}' says neither `context` nor `local`"
            hint = f"write {name}: {{context: CONTEXT}} with a context of your kubeconfig, or {name}: {{local: true}}"
            raise file.error(text, hint, *at, at_key=True)
        if named.context == LOCAL:
            text = f"the context of '{name}' would be taken for this machine"
            raise file.error(text, "write `local: true` for this machine, or rename the context", *at, "context")


def check_placement(file: ApplicationFile, named: str, target: str | None, *at: str | int) -> None:
    """Raise FileError for a part that names no target, or another one than that of the run.

    `target` is None where nothing is run.
    """
    application = file.application
    known = [*application.targets, LOCAL]
    if target is not None and target_named(application, named) == target_named(application, target):
        return
    if application.targets and named not in known:
        raise file.error(f"there is no target '{named}' in spec.targets", suggest_name(named, known), *at)
    if target is None:
        return
    text = f"the part names the target '{named}', but the run is on '{target}'"
    hint = f"run it with --target {named}; all parts of one run are on one target"
    raise file.error(text, hint if named in known else f"remove the target, or set target: {target}", *at)
