"""What policies are judged on: one document, which gates read as values and rules in Rego as `input`. Pure.

Its fields are a promise to whoever writes rules: they are added to, and neither renamed nor given another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from plimsoll.supply.findings import Verdict
from plimsoll.supply.severity import Severity

VERSION = "plimsoll.dev/policy/v1"
Stage = Literal["plan", "step", "serve", "check"]
"""What the document is of: a plan, a step about to begin, a version about to be served, or what somebody names."""
Document = dict[str, Any]
"""JSON of others' formats (`Any`): a bill of materials, provenance, a Kubernetes object."""


class StepFacts(Struct, frozen=True, kw_only=True):
    """One step of the plan. `place` is that of its part in the file, as file:line:column."""

    name: str
    verb: str
    part: str
    place: str
    needs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    workers: int = 1
    target: str = ""
    stays: str = ""
    command: str = ""
    framework: str = ""
    cpu: float | None = None
    memory: int | None = None
    accelerators: int = 0


class ImageFacts(Struct, frozen=True, kw_only=True):
    """A container image that the file names. `of` says what for."""

    image: str
    of: str
    place: str


class SourceFacts(Struct, frozen=True, kw_only=True):
    """A model that is brought: where from, without queries, and the licence that the file declares."""

    model: str
    source: str
    place: str
    sha256: str = ""
    licence: str = ""
    licences: tuple[str, ...] = ()


class VulnerabilityFacts(Struct, frozen=True, kw_only=True):
    """One vulnerability of a package, under all of its names."""

    id: str
    severity: Severity
    aliases: tuple[str, ...] = ()
    summary: str = ""
    fixed: tuple[str, ...] = ()


class PackageFacts(Struct, frozen=True, kw_only=True):
    """A package of the environment, and what the database says of it."""

    name: str
    version: str
    licence: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    vulnerabilities: tuple[VulnerabilityFacts, ...] = ()


class EnvironmentFacts(Struct, frozen=True, kw_only=True):
    """The environment of the commands. `packages` is null where they are not known, as `gap` says.

    `until` names the step that makes it, when it has not been made yet.
    """

    name: str
    place: str
    packages: tuple[PackageFacts, ...] | None = None
    gap: str = ""
    until: str = ""


class FileFacts(Struct, frozen=True, kw_only=True):
    """A file of a version, and what loading it would do."""

    path: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


class ScreenFacts(Struct, frozen=True, kw_only=True):
    """A screen that the rows of a version's training went through, as its signed card tells. As `DataScreen` there."""

    screen: str
    table: str = ""
    rows: int = 0
    held_out: int = 0
    figures: Mapping[str, float] = {}
    accept: Mapping[str, str] = {}
    unmeasured: Mapping[str, str] = {}
    first: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    sha256: str = ""
    note: str = ""


class OriginFacts(Struct, frozen=True, kw_only=True):
    """Where a brought model is from, as its lineage records it."""

    source: str
    sha256: str = ""
    format: str = ""
    licence: str = ""
    licence_from: str = ""


class ModelFacts(Struct, frozen=True, kw_only=True):
    """A registered version. `used_by` are the steps that serve it or score with it.

    `signed_by` is the id of a trusted key, or empty, and `signature` says why. `provenance` and `sbom` are what a
    trusted key has stated about exactly this version, or null, and `…_problem` says why. `files` is null where nobody
    has looked at them. `screens` and `membership` are from its card, and null where no trusted key has signed one.
    """

    reference: str
    name: str
    version: int
    digest: str
    created: str
    author: str
    framework: str
    accepted: bool
    place: str = ""
    used_by: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    metrics: Mapping[str, float] = {}
    run: str = ""
    commit: str = ""
    dirty: bool = False
    data: Mapping[str, str] = {}
    code: Mapping[str, str] = {}
    origin: OriginFacts | None = None
    signed_by: str = ""
    signature: str = ""
    provenance: Document | None = None
    provenance_problem: str = ""
    sbom: Document | None = None
    sbom_problem: str = ""
    files: tuple[FileFacts, ...] | None = None
    screens: tuple[ScreenFacts, ...] | None = None
    screens_problem: str = ""
    membership: Document | None = None


class LaterFacts(Struct, frozen=True, kw_only=True):
    """A version that is not there yet: the step `until` registers it, and `used_by` need it."""

    name: str
    until: str
    used_by: tuple[str, ...]
    place: str


class ObjectFacts(Struct, frozen=True, kw_only=True):
    """A Kubernetes object; `place` is the file and the line at which it begins."""

    place: str
    object: Document


class BundleFacts(Struct, frozen=True, kw_only=True):
    """An evidence bundle: who has signed it, what was altered, what it says of itself, and its verdicts."""

    path: str
    signed_by: str
    problems: tuple[str, ...] = ()
    predicate: Document = {}
    verdicts: tuple[Document, ...] = ()


class Facts(Struct, frozen=True, kw_only=True):
    """The whole document."""

    version: str = VERSION
    stage: Stage = "plan"
    application: str = ""
    file: str = ""
    target: str = ""
    step: str = ""
    steps: tuple[StepFacts, ...] = ()
    images: tuple[ImageFacts, ...] = ()
    sources: tuple[SourceFacts, ...] = ()
    environment: EnvironmentFacts | None = None
    models: tuple[ModelFacts, ...] = ()
    later: tuple[LaterFacts, ...] = ()
    objects: tuple[ObjectFacts, ...] = ()
    bundles: tuple[BundleFacts, ...] = ()
