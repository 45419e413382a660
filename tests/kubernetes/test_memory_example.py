"""The example of the document on testing does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.mark.slow
def test_the_example_of_the_document_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setenv("KUBECONFIG", "none")
    names: dict[str, Any] = {"__name__": "example"}  # Any: whatever the example names
    exec(compile(example, str(DOCUMENT), "exec"), names)
    assert names["pod"]["status"]["phase"] == "Succeeded"
