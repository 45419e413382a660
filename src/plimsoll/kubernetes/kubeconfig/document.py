"""The text of a kubeconfig as typed values that know their place. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.documents.places import Keys, Places
from plimsoll.documents.reading import Reader, at, describe_value, yaml_nodes
from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.fields import Kubeconfig

_PATH = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_WORDS = {
    "str": "text",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "array": "a list",
    "object": "a mapping of keys to values",
}
_HINTS = {"str": "put it between quotes", "array": "each entry begins with '- '"}


class Document(Struct, frozen=True, kw_only=True):
    """A kubeconfig. `raw` has its values as written, with fields that we do not know."""

    path: Path
    content: Kubeconfig
    raw: object
    places: Places


def value_at(raw: object, keys: Keys) -> object:
    """The value as written at a path of keys; `None` where there is none."""
    for key in keys:
        if isinstance(raw, dict) and isinstance(key, str):
            raw = raw.get(key)
        elif isinstance(raw, list) and isinstance(key, int):
            raw = raw[key]
        else:
            return None
    return raw


@lru_cache(maxsize=8)
def parse(text: str, path: Path) -> Document:
    """Read a kubeconfig's text. Raises FileError at the place of what is wrong."""
    file = str(path)
    with yaml_nodes(text, file) as document:
        reader = _KubeconfigReader(file, document.loader)
        raw = reader.read(document.node, ()) if document.node is not None else None
    places = Places(file=file, values=reader.values, keys=reader.keys)
    raw = {} if raw is None else raw
    try:
        content = msgspec.convert(raw, Kubeconfig, strict=True)
    except msgspec.ValidationError as error:
        raise _mistake(str(error), raw, places) from None
    found = Document(path=path, content=content, raw=raw, places=places)
    _check_kind(found)
    return found


def _mistake(said: str, raw: object, places: Places) -> FileError:
    """The error for what the converter says, such as 'Expected `str`, got `int` - at `$.users[0].user.token`'."""
    expected, _, where = said.partition(" - at ")
    found = _PATH.findall(where.strip("`").split("[...]")[0])
    keys: Keys = tuple(int(number) if number else name for name, number in found)
    value = value_at(raw, keys)
    wanted, got = (*re.findall(r"`(\w+)[^`]*`", expected), "", "")[:2]
    what = f"'{keys[-1]}' of this kubeconfig" if keys and isinstance(keys[-1], str) else "this entry of the kubeconfig"
    shown = _WORDS.get(got, got) if "[...]" in where or _secret(keys) else describe_value(value)
    told = f"{what if keys else 'a kubeconfig'} must be {_WORDS.get(wanted, wanted)}, and is {shown}"
    return FileError(told, where=places.where(*keys), hint=_HINTS.get(wanted, ""))


def _secret(keys: Keys) -> bool:
    return bool(keys) and keys[-1] in ("token", "password", "client-key-data", "value")


def _check_kind(document: Document) -> None:
    content = document.content
    if content.kind not in (None, "", "Config"):
        hint = "KUBECONFIG names kubeconfigs; manifests are for kubectl apply"
        raise FileError(f"this is a {content.kind}, not a kubeconfig", where=document.places.where("kind"), hint=hint)
    if content.api_version not in (None, "", "v1"):
        told = f"there is no apiVersion '{content.api_version}' of kubeconfigs"
        raise FileError(told, where=document.places.where("apiVersion"), hint="write apiVersion: v1")


class _KubeconfigReader(Reader):
    """As kubectl reads: merge keys are followed, and what only YAML takes for a date stays text."""

    most = 1_000_000

    def scalar(self, node: object) -> object:
        """A scalar: text, a number, a truth value or nothing."""
        import yaml

        assert isinstance(node, yaml.ScalarNode)  # noqa: S101  # the type of the base class is not there at run time
        kind = node.tag.rpartition(":")[2]
        if kind in ("timestamp", "binary") or (kind in ("int", "float") and ":" in node.value):
            return str(node.value)
        return super().scalar(node)

    def merge(self, mapping: dict[str, object], key_node: object, value_node: object, path: Keys) -> None:
        """Take the keys of the mappings that a merge key names, where the mapping itself does not say them."""
        import yaml

        assert isinstance(value_node, yaml.Node)  # noqa: S101  # as above
        inner = (*path, "<<")
        found = self.read(value_node, inner)
        for each in found if isinstance(found, list) else [found]:
            if not isinstance(each, dict):
                where = at(self.file, value_node)
                raise FileError("a merge key (<<) names a mapping, or a list of them", where=where)
            for key, value in each.items():
                mapping.setdefault(key, value)
