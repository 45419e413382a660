"""The JSON Schema of the application file, made from its types."""

from __future__ import annotations

from typing import Any

import msgspec

from plimsoll.application.model import API_VERSION, Application


def json_schema() -> dict[str, Any]:
    """Draft 2020-12, for editors that check and complete YAML."""
    (root,), components = msgspec.json.schema_components([Application], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{API_VERSION}/application.json",
        "title": "Plimsoll application",
        **root,
        "$defs": components,
    }
