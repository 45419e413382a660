"""Rego by the engine that the extra `rego` brings: regopy, in a process of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.policy.rego.engine import SECONDS, Answer, NotRego, Query
from plimsoll.policy.rego.files import RuleFile
from plimsoll.policy.rego.process import run_limited
from plimsoll.policy.rego.variables import require_bound

MODULE = "regopy"
WORKER = Path(__file__).with_name("kept_process.py")
NEWLINE = "\n"
_MESSAGE = re.compile(r"\(errormsg \d+:([^)]*)\)")
_PLACE = re.compile(r"\(\w+ \d+:(\d+)\.rego\|(\d+)\|\d+")
"""How the engine writes a place: its file, and the number of bytes before it."""


class _Said(msgspec.Struct, frozen=True):
    """A line of the process: it begins with a query, has its value, or says what is wrong."""

    begun: int | None = None
    query: int | None = None
    value: object = None
    problem: str = ""
    not_rego: str = ""


class Kept:
    """Asks all queries of one process; the one that it has begun and not answered is the one that does not end."""

    def evaluate(self, files: Sequence[RuleFile], document: bytes, queries: Sequence[Query]) -> Sequence[Answer]:
        """An answer for each query. Raises NotRego."""
        require_bound(files)
        job = {
            "files": [{"name": f"{number}.rego", "text": file.text} for number, file in enumerate(files)],
            "queries": [query.text for query in queries],
            "input": msgspec.Raw(document),
        }
        ended = run_limited([sys.executable, "-I", str(WORKER)], msgspec.json.encode(job), SECONDS)
        answers: dict[int, Answer] = {}
        begun = 0
        for line in ended.output.splitlines():
            try:
                said = msgspec.json.decode(line, type=_Said)
            except UNREADABLE:
                break
            if said.not_rego:
                raise NotRego(*_placed(said.not_rego, files))
            if said.begun is not None:
                begun = said.begun
            if said.query is not None:
                problem = _placed(said.problem, files)[0] if said.problem else ""
                answers[said.query] = Answer(query=queries[said.query], value=said.value, problem=problem)
        not_asked = "it was not asked, because another did not end"
        return [
            answers.get(number, Answer(query=query, problem=ended.end if number == begun else not_asked))
            for number, query in enumerate(queries)
        ]


def find_kept() -> Kept | None:
    """The engine, where its extra is installed."""
    return Kept() if find_spec(MODULE) is not None else None


def _placed(said: str, files: Sequence[RuleFile]) -> tuple[str, str]:
    """The first message of the engine, and its place in the user's file."""
    message = match[1] if (match := _MESSAGE.search(said)) else " ".join(said.split())[:300]
    place = _PLACE.search(said)
    if place is None or int(place[1]) >= len(files):
        return message, files[0].name
    file, before = files[int(place[1])], files[int(place[1])].text.encode()[: int(place[2])].decode(errors="ignore")
    return message, f"{file.name}:{before.count(NEWLINE) + 1}:{len(before.rpartition(NEWLINE)[2]) + 1}"
