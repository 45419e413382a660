"""`spec.policies`: what must be known and true of models, packages, images and plans before they run or are served."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from plimsoll.application.parts import Part

AT = ("spec", "policies")
"""The path of keys of the policies in a file."""
CHAIN = (*AT, "supply-chain")
RULES = ".rego"

Evidence = Literal["signed", "provenance", "sbom", "scanned", "screened"]
Most = Literal["none", "low", "medium", "high", "critical"]


class Vulnerabilities(Part, frozen=True, kw_only=True):
    """Packages against a database of advisories that you bring."""

    database: Annotated[str, Meta(min_length=1, description="advisories of OSV: a directory, a zip archive or a file")]
    most: Annotated[Most, Meta(description="the worst severity that a package may have")] = "none"
    complete: Annotated[bool, Meta(description="the database has every advisory of the index")] = False
    accepted: Annotated[
        dict[str, Annotated[str, Meta(min_length=1)]],
        Meta(description="accepted advisories, and packages that no advisory tells of, each with your reason"),
    ] = {}  # noqa: RUF012 - msgspec copies it


class Images(Part, frozen=True, kw_only=True):
    """Container images: where they may be from, and whether each is named by its digest."""

    pinned: Annotated[bool, Meta(description="each image is named by its digest")] = True
    registries: Annotated[
        tuple[str, ...],
        Meta(
            description="HOST or HOST/PATH of the registries whose images may run", examples=["registry.example/shop"]
        ),
    ] = ()


class SupplyChain(Part, frozen=True, kw_only=True):
    """What must be known of what runs, and what of it is allowed."""

    require: Annotated[
        tuple[Evidence, ...],
        Meta(description="what each version must have: signed, provenance, sbom, scanned, screened"),
    ] = ()
    vulnerabilities: Vulnerabilities | None = None
    licences: Annotated[tuple[str, ...], Meta(description="licences that brought models may have, by SPDX")] = ()
    origins: Annotated[
        tuple[str, ...],
        Meta(description="patterns of the sources of brought models; * is any text", examples=["pypi:acme-*"]),
    ] = ()
    images: Images | None = None


class Policies(Part, frozen=True, kw_only=True):
    """What must hold before a plan runs and before a version is served."""

    supply_chain: SupplyChain | None = field(name="supply-chain", default=None)
    pods: Annotated[Literal["restricted"], Meta(description="what pods may ask for")] | None = None
    rules: Annotated[str, Meta(min_length=1, description="a directory with rules in Rego, or one such file")] | None = (
        None
    )

    @property
    def chain(self) -> SupplyChain:
        """What is said of the supply chain, or that nothing is."""
        return self.supply_chain or SupplyChain()

    @property
    def any(self) -> bool:
        """Whether anything has to hold."""
        return self.rules is not None or self.pods is not None or self.chain != SupplyChain()
