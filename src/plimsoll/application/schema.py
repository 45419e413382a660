"""The JSON Schema of the application file, generated from its types."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from plimsoll.application.application import API_VERSION, PartTypes


def json_schema(parts: PartTypes) -> Mapping[str, object]:
    """A JSON Schema (draft 2020-12) for editors that check and complete YAML."""
    (root,), components = msgspec.json.schema_components([parts.document()], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{API_VERSION}/application.json",
        "title": "Plimsoll application",
        **root,
        "$defs": components,
    }
