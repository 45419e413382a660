"""How a version was made, as provenance of SLSA v1. Pure.

Source: SLSA Provenance v1.0, the predicate of an in-toto statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from plimsoll import __version__
from plimsoll.registry.versions import ModelVersion
from plimsoll.supply.inventory import Material

PREDICATE = "https://slsa.dev/provenance/v1"
TRAINED = "https://plimsoll.dev/build/training/v1"
BROUGHT = "https://plimsoll.dev/build/brought/v1"
BUILDER = "https://plimsoll.dev/builder/user-machine/v1"
LEVEL = "SLSA_BUILD_LEVEL_1"
LEVEL_WORDS = (
    "SLSA Build L1: the provenance exists and is signed, but by the one who trains; L2 needs a hosted builder whose key"
    " training cannot use"
)


def provenance(version: ModelVersion, byproducts: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """The predicate about a version: what it was made of, by which command, in which run, and at which level.

    `byproducts` are descriptors of what was made besides, such as reports of screens.
    """
    lineage = version.lineage
    origin = lineage.origin
    parameters = {
        "model": version.name,
        "step": lineage.step,
        "command": lineage.command,
        "framework": lineage.framework,
        "source": origin.source if origin else "",
        "accept": dict(version.accept),
    }
    return {
        "buildDefinition": {
            "buildType": BROUGHT if origin else TRAINED,
            "externalParameters": {name: value for name, value in parameters.items() if value},
            "internalParameters": {
                "key": lineage.key,
                "claimedLevel": LEVEL,
                "codeChangedSinceCommit": lineage.dirty,
                "codeNotStored": dict(lineage.left_out),
            },
            "resolvedDependencies": list(_dependencies(version)),
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"plimsoll": __version__}},
            "metadata": {
                "invocationId": lineage.run,
                "finishedOn": f"{version.created:%Y-%m-%dT%H:%M:%SZ}",
            },
            **({"byproducts": [dict(each) for each in byproducts]} if byproducts else {}),
        },
    }


def _dependencies(version: ModelVersion) -> Iterator[dict[str, object]]:
    lineage = version.lineage
    for kind, found in (("data", lineage.data), ("code", lineage.code)):
        for name, digest in sorted(found.items()):
            yield _dependency(kind, name, digest)
    if lineage.base is not None:
        yield _dependency("base model", lineage.base.reference, lineage.base.digest)
    if lineage.environment:
        yield _dependency("environment", "environment", lineage.environment)
    if lineage.commit:
        yield {"name": "repository", "digest": {"gitCommit": lineage.commit}, "annotations": {"kind": "commit"}}


def _dependency(kind: str, name: str, digest: str) -> dict[str, object]:
    sha256 = Material(name=name, digest=digest).sha256
    # A digest over the contents of a directory is a SHA-256 too, of a list of names and digests.
    known = {"sha256": sha256} if sha256 else {"plimsoll": digest}
    return {"name": name, "digest": known, "annotations": {"kind": kind}}
