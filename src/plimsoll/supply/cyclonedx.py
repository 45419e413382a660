"""Bills of materials in CycloneDX 1.6; a model's is an ML-BOM with its files, datasets and figures. Pure.

Source: the JSON schema of CycloneDX 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator

from plimsoll import __version__
from plimsoll.supply.inventory import Inventory, Material
from plimsoll.supply.packages import Package

PREDICATE = "https://cyclonedx.org/bom"
Document = dict[str, object]


def cyclonedx(inventory: Inventory) -> Document:
    """The bill of materials of an inventory."""
    subject = _subject(inventory)
    packages = inventory.packages or ()
    components = [*_materials(inventory), *map(_package, packages)]
    known = inventory.packages is not None
    depends = [str(each["bom-ref"]) for each in components]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{inventory.uuid('cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": inventory.moment,
            "tools": {"components": [{"type": "application", "name": "plimsoll", "version": __version__}]},
            "component": subject,
            **(
                {} if known else {"properties": [{"name": "plimsoll:packages", "value": f"not known: {inventory.gap}"}]}
            ),
        },
        "components": components,
        "dependencies": [{"ref": "subject", "dependsOn": depends}],
        # What depends on what is not recorded by installers, and what is not known must not look like nothing.
        "compositions": [{"aggregate": "unknown" if known else "incomplete", "dependencies": ["subject"]}],
    }


def _subject(inventory: Inventory) -> Document:
    found: Document = {
        "bom-ref": "subject",
        "type": "machine-learning-model" if inventory.is_model else "application",
        "name": inventory.name,
        **({"version": inventory.version} if inventory.version else {}),
        **_hashes(Material(name="", digest=inventory.digest)),
        **_licences(inventory.licence, expression=True),
    }
    if not inventory.is_model:
        return found
    figures = [{"type": name, "value": f"{value:.12g}"} for name, value in sorted(inventory.metrics.items())]
    found["modelCard"] = {
        "modelParameters": {
            **({"architectureFamily": inventory.framework} if inventory.framework else {}),
            "datasets": [{"ref": f"data:{each.name}"} for each in inventory.data],
        },
        **({"quantitativeAnalysis": {"performanceMetrics": figures}} if figures else {}),
    }
    if inventory.base is not None:
        found["pedigree"] = {"ancestors": [_ancestor(inventory.base)]}
    if inventory.framework:
        found["properties"] = [{"name": "plimsoll:framework", "value": inventory.framework}]
    return found


def _ancestor(base: Material) -> Document:
    """The model that an adapter is of."""
    name, _, version = base.name.partition("@")
    return {"type": "machine-learning-model", "name": name, "version": version, **_hashes(base)}


def _materials(inventory: Inventory) -> Iterator[Document]:
    for each in inventory.files:
        yield {"bom-ref": f"file:{each.name}", "type": "file", "name": each.name, **_hashes(each)}
    for each in inventory.data:
        data = [{"type": "dataset", "name": each.name}]
        yield {"bom-ref": f"data:{each.name}", "type": "data", "name": each.name, "data": data, **_hashes(each)}
    for each in inventory.code:
        yield {"bom-ref": f"code:{each.name}", "type": "file", "name": each.name, **_hashes(each)}


def _package(package: Package) -> Document:
    properties = [
        {"name": name, "value": value}
        for name, value in (
            ("plimsoll:record:sha256", package.record),
            ("plimsoll:installed-from", package.installed_from),
        )
        if value
    ]
    return {
        "bom-ref": package.purl,
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        **_hashes(Material(name="", digest=package.archive)),
        **_licences(package.licence, expression=package.expression),
        **({"properties": properties} if properties else {}),
    }


def _hashes(material: Material) -> Document:
    if material.sha256:
        return {"hashes": [{"alg": "SHA-256", "content": material.sha256}]}
    return {"properties": [{"name": "plimsoll:digest", "value": material.digest}]} if material.digest else {}


def _licences(licence: str, *, expression: bool) -> Document:
    if not licence:
        return {}
    return {"licenses": [{"expression": licence} if expression else {"license": {"name": licence}}]}
