"""A search index that a pod builds: by the same program as on a machine, with what init containers have brought."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.indexes.layout import notes_of, read_facts
from plimsoll.runtime.pod_task import IndexTask


def index_command(task: IndexTask, documents: str, output: Path, work: Path) -> list[str]:
    """The command that builds it. What it is to build is too long for an argument, and lies in a file."""
    order = replace(
        task.order,
        documents=documents,
        output=str(output),
        model=str(work / task.order.model) if task.order.model else None,
        earlier=str(work / task.order.earlier) if task.order.earlier else None,
    )
    path = work / "order.json"
    path.write_bytes(msgspec.json.encode(order))
    return [sys.executable, "-m", "plimsoll.runtime.indexer", str(path)]


def index_facts(task: IndexTask, output: Path) -> dict[str, object]:
    """What is known of the built index, beside its files. Raises PlimsollError for a directory that is none."""
    facts = read_facts(output)
    return {
        "documents": facts.documents,
        "chunks": facts.chunks,
        "embedded": facts.embedded,
        "model": task.embedder,
        "left_out": len(facts.unreadable),
        "notes": notes_of(facts),
    }
