"""Bills of materials in SPDX 3.0.1, as JSON-LD with one graph of elements. Pure.

Source: the model of SPDX 3.0.1, profiles Core, Software, SimpleLicensing, AI and Dataset.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from plimsoll import __version__
from plimsoll.supply.inventory import Inventory, Material
from plimsoll.supply.packages import Package

PREDICATE = "https://spdx.dev/Document/v3.0.1"
CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
Element = dict[str, object]
_CREATION = "_:creation"


def spdx(inventory: Inventory) -> Element:
    """The bill of materials of an inventory."""
    return {"@context": CONTEXT, "@graph": _Graph(inventory).elements()}


class _Graph:
    """The elements of one document. Their names are made of its content."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._base = f"urn:spdx:{inventory.uuid('spdx')}"
        self._licences: dict[str, Element] = {}
        self._relations: list[Element] = []

    def elements(self) -> list[Element]:
        inventory = self._inventory
        subject = self._subject()
        files = [self._file("file", each) for each in inventory.files]
        code = [self._file("code", each) for each in inventory.code]
        data = [self._dataset(each) for each in inventory.data]
        packages = [self._package(each) for each in inventory.packages or ()]
        bases = [self._model(inventory.base)] if inventory.base is not None else []
        self._relate(subject, "contains", files)
        self._relate(subject, "trainedOn", data)
        self._relate(subject, "dependsOn", packages, complete=False)
        self._relate(subject, "hasInput", code)
        self._relate(subject, "descendantOf", bases)
        inner = [subject, *files, *code, *data, *bases, *packages, *self._licences.values(), *self._relations]
        bill = self._element("software_Sbom", "sbom", rootElement=[subject["spdxId"]])
        bill |= {"software_sbomType": ["analyzed"], "element": [each["spdxId"] for each in inner]}
        document = self._element("SpdxDocument", "document", rootElement=[bill["spdxId"]])
        document["profileConformance"] = ["core", "software", "simpleLicensing"]
        return [self._creation(), self._agent(), self._tool(), document, bill, *inner]

    def _creation(self) -> Element:
        return {
            "@id": _CREATION,
            "type": "CreationInfo",
            "specVersion": "3.0.1",
            "created": self._inventory.moment,
            "createdBy": [f"{self._base}/agent"],
            "createdUsing": [f"{self._base}/tool"],
        }

    def _agent(self) -> Element:
        return self._element("Agent", "agent", name=self._inventory.author or "not told")

    def _tool(self) -> Element:
        return self._element("Tool", "tool", name=f"plimsoll {__version__}")

    def _element(self, kind: str, place: str, **fields: object) -> Element:
        spdx_id = f"{self._base}/{quote(place, safe='/@:')}"
        return {"type": kind, "spdxId": spdx_id, "creationInfo": _CREATION, **fields}

    def _subject(self) -> Element:
        inventory = self._inventory
        kind = "ai_AIPackage" if inventory.is_model else "software_Package"
        found = self._element(kind, "subject", name=inventory.name)
        found["software_primaryPurpose"] = "model" if inventory.is_model else "application"
        found |= {"software_packageVersion": inventory.version} if inventory.version else {}
        found |= _verified(Material(name="", digest=inventory.digest))
        if inventory.is_model:
            metrics = sorted(inventory.metrics.items())
            entries = [{"type": "DictionaryEntry", "key": name, "value": f"{value:.12g}"} for name, value in metrics]
            found |= {"ai_metric": entries} if entries else {}
            found |= {"ai_typeOfModel": [inventory.framework]} if inventory.framework else {}
        if inventory.packages is None:
            found["comment"] = f"the packages are not known: {inventory.gap}"
        self._licence(found, inventory.licence)
        return found

    def _file(self, sort: str, material: Material) -> Element:
        found = self._element("software_File", f"{sort}/{material.name}", name=material.name)
        return found | _verified(material)

    def _dataset(self, material: Material) -> Element:
        found = self._element("dataset_DatasetPackage", f"data/{material.name}", name=material.name)
        return found | {"software_primaryPurpose": "data", "dataset_datasetType": ["noAssertion"]} | _verified(material)

    def _model(self, material: Material) -> Element:
        """The model that an adapter is of."""
        name, _, version = material.name.partition("@")
        found = self._element("ai_AIPackage", f"model/{material.name}", name=name, software_packageVersion=version)
        return found | {"software_primaryPurpose": "model"} | _verified(material)

    def _package(self, package: Package) -> Element:
        found = self._element("software_Package", f"package/{package.name}@{package.version}", name=package.name)
        found |= {"software_packageVersion": package.version, "software_packageUrl": package.purl}
        found |= {"comment": f"installed from {package.installed_from}"} if package.installed_from else {}
        found |= _verified(Material(name="", digest=package.archive))
        self._licence(found, package.licence if package.expression else "")
        return found

    def _licence(self, element: Element, licence: str) -> None:
        if not licence:
            return
        if licence not in self._licences:
            name = f"licence/{len(self._licences) + 1}"
            made = self._element("simplelicensing_LicenseExpression", name)
            self._licences[licence] = made | {"simplelicensing_licenseExpression": licence}
        self._relate(element, "hasDeclaredLicense", [self._licences[licence]])

    def _relate(self, source: Element, kind: str, to: Iterable[Element], *, complete: bool = True) -> None:
        found = [each["spdxId"] for each in to]
        if found:
            name = f"relationship/{len(self._relations) + 1}"
            relation = self._element("Relationship", name, relationshipType=kind, to=found)
            relation["from"] = source["spdxId"]
            relation["completeness"] = "complete" if complete else "noAssertion"
            self._relations.append(relation)


def _verified(material: Material) -> Element:
    if material.sha256:
        return {"verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": material.sha256}]}
    return {"comment": f"digest: {material.digest}"} if material.digest else {}
