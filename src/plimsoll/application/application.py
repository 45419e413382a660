"""An application file as typed values: its name, the environment of its commands, and its parts by kind and name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from plimsoll.application.encryption import Encryption
from plimsoll.application.parameters import Parameter, ParameterName
from plimsoll.application.parts import Environment, Metadata, Part
from plimsoll.application.policies import Policies
from plimsoll.application.scalars import Name
from plimsoll.application.target_name import TargetName
from plimsoll.decoding import decodable

API_VERSION = "plimsoll.dev/v1alpha1"

_Field = tuple[str, object, object]
"""Name, annotation and default of a field of a Struct that is made at run time."""


class ApplicationSpec(Struct, frozen=True, kw_only=True):
    """One application. `parts` maps the kind's key in the file (`datasets`) and the part's name to the part.

    Each kind returns its own parts with their type: `DATASETS.of(application)`.
    """

    name: str
    environment: Environment = Environment()
    parameters: Mapping[str, Parameter] = {}
    targets: Mapping[str, TargetName] = {}
    policies: Policies = Policies()
    encryption: Encryption | None = None
    parts: Mapping[str, Mapping[str, Part]] = {}


class PartTypes(Struct, frozen=True):
    """The kinds of parts that a file may have: (key, type of a part) pairs in the order of the docs."""

    pairs: tuple[tuple[str, type[Part]], ...]

    def document(self) -> type[Part]:
        """The type of a whole file with these kinds."""
        return _document(self.pairs)

    def application(self, values: object) -> ApplicationSpec:
        """Convert a document whose shape has been checked. Raises msgspec.ValidationError."""
        document: Any = msgspec.convert(values, self.document(), strict=True)  # Any: its type is made at run time
        spec = document.spec
        return ApplicationSpec(
            name=document.metadata.name,
            environment=spec.environment,
            parameters=spec.parameters,
            targets=spec.targets,
            policies=spec.policies,
            encryption=spec.encryption,
            parts={key: getattr(spec, key) for key, _ in self.pairs},
        )


@cache
def _document(pairs: tuple[tuple[str, type[Part]], ...]) -> type[Part]:
    common: list[_Field] = [
        ("environment", Environment, Environment()),
        ("parameters", dict[ParameterName, Parameter], msgspec.field(default_factory=dict)),
        ("targets", dict[Name, TargetName], msgspec.field(default_factory=dict)),
        ("policies", Policies, Policies()),
        ("encryption", Encryption | None, None),
    ]
    by_kind: list[_Field] = [
        (key, dict[Name, part], msgspec.field(default_factory=dict))  # type: ignore[valid-type]  # made at run time
        for key, part in pairs
    ]
    spec = _struct("Spec", [*common, *by_kind], "The parts of the application, by kind and name.")
    fields: list[_Field | tuple[str, object]] = [
        ("api_version", Literal["plimsoll.dev/v1alpha1"]),
        ("kind", Literal["Application"]),
        ("metadata", Metadata),
        ("spec", spec),
    ]
    return decodable(_struct("Application", fields, "One application file."))


def _struct(name: str, fields: Sequence[_Field | tuple[str, object]], doc: str) -> type[Part]:
    return msgspec.defstruct(  # type: ignore[return-value]
        name,
        fields,
        bases=(Part,),
        namespace={"__doc__": doc},
        module=__name__,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        rename="camel",
    )
