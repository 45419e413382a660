"""A service of an index that is kept up while its documents change: real processes, real searches."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from .conftest import Plimsoll, answer, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SPEC = """\
  datasets: {pages: {source: pages}}
  indexes: {faq: {documents: pages}}
  services: {help: {index: faq}}
"""


def test_a_kept_service_moves_to_the_next_index_without_a_failed_search_and_keeps_what_was_put_in(
    plimsoll: Plimsoll, tmp_path: Path
) -> None:
    write(tmp_path, SPEC)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "pump.txt").write_text("The pump is safe.")
    said = plimsoll("up")
    assert "(POST /v2/indexes/faq/search)" in said.stdout, said.stdout + said.stderr
    ending, seen = threading.Event(), Counter[tuple[int, str]]()
    try:
        url = answer(plimsoll("status", "--json"))["services"]["help"]["url"]
        token = (tmp_path / ".plimsoll" / "services" / "help.token").read_text().strip()
        put = httpx.post(
            f"{url}/v2/indexes/faq/documents",
            json={"documents": [{"id": "valve", "text": "The valve is safe."}]},
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
        )
        assert put.status_code == 200, put.text

        def search() -> None:
            while not ending.wait(0.02):
                got = httpx.post(f"{url}/v2/indexes/faq/search", json={"query": "safe", "top": 9}, timeout=50)
                seen[got.status_code, got.json()["version"]] += 1

        asking = threading.Thread(target=search)
        asking.start()
        (tmp_path / "pages" / "pump.txt").unlink()
        (tmp_path / "pages" / "hose.txt").write_text("The hose is safe.")
        ran = answer(plimsoll("run", "--json"))
        assert [(each["old"], each["new"], each["moved"]) for each in ran["taken_over"]] == [("1", "2", True)]
        now = httpx.post(f"{url}/v2/indexes/faq/search", json={"query": "safe", "top": 9}, timeout=50).json()
        assert (now["version"], {hit["id"] for hit in now["hits"]}) == ("2", {"hose.txt", "valve"})
        ending.set()
        asking.join()
    finally:
        ending.set()
        plimsoll("down")
    assert {status for status, _ in seen} == {200}
    assert {version for _, version in seen} == {"1", "2"}
