"""Adapters: LoRAs of a model. They are trained or brought as models are, and answer only together with that model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name

if TYPE_CHECKING:
    from plimsoll.kinds.model import Model

BASE_VARIABLE = "PLIMSOLL_BASE"
"""What a training of an adapter finds the directory of the base model's verified files by."""


class Base(Struct, frozen=True, kw_only=True):
    """The model that an adapter is of, and the key of the step that registers it in this plan, if one does."""

    reference: str
    register_key: str | None = None


def check_adapter(file: ApplicationFile, models: Mapping[str, Model], name: str, *at: str | int) -> None:
    """Raise FileError for an adapter of no model, of another adapter, and for a base of what is no adapter."""
    model = models[name]
    if model.base is None:
        if model.kind == "adapter":
            hint = "add `base: MODEL`: the model of this file that it is trained on, and served with"
            raise file.error(f"the adapter '{name}' does not say which model it is of", hint, *at, "kind")
        return
    if model.kind != "adapter":
        hint = "add `kind: adapter`, or remove `base`"
        raise file.error(f"`base` is for an adapter, and '{name}' is a model", hint, *at, "base", at_key=True)
    base = name_of(model.base)
    if base not in models:
        raise file.error(f"there is no model '{base}'", suggest_name(base, models), *at, "base")
    if models[base].kind == "adapter":
        text = f"'{base}' is itself an adapter" if base != name else f"'{name}' cannot be an adapter of itself"
        raise file.error(text, "name the model that it is of: adapters do not stand on adapters", *at, "base")


def check_whole(file: ApplicationFile, models: Mapping[str, Model], reference: str, *at: str | int) -> None:
    """Raise FileError for an adapter where a model is needed that answers by itself."""
    name = name_of(reference)
    if models[name].kind != "adapter":
        return
    base = name_of(models[name].base or "MODEL")
    hint = f"name it beside its model: llms: {{writer: {{model: {base}, adapter: {name}}}}}"
    raise file.error(f"'{name}' is an adapter of '{base}', and answers nothing by itself", hint, *at)


def check_served_with(
    file: ApplicationFile, models: Mapping[str, Model], reference: str, model: str, *at: str | int
) -> None:
    """Raise FileError for an adapter that says that it is of another model than `model`, which it is served with.

    One that was brought without saying so is held against the model when the files are there.
    """
    adapter = models[name_of(reference)]
    if adapter.base is None or name_of(adapter.base) == name_of(model):
        return
    base, served = name_of(adapter.base), name_of(model)
    hint = f"serve it with '{base}', or name an adapter of '{served}'"
    text = f"the adapter '{name_of(reference)}' is of '{base}', and this language model is '{served}'"
    raise file.error(text, hint, *at)


def name_of(reference: str) -> str:
    """The model of a reference such as `smollm@2`."""
    return reference.partition("@")[0]
