"""What stands beside a questionnaire: the files that it cites, and the official suite's artefacts among them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from msgspec import Struct

from plimsoll.submission.artifacts import NAMES, Artifact, kind_of, parse
from plimsoll.submission.links import is_web
from plimsoll.submission.questionnaire import Questionnaire

_OTHERS = re.compile(r"v\d+\.\d+/[^/]+/")


class Cited(Struct, frozen=True, kw_only=True):
    """A local file by which a requirement is shown.

    `path` is relative to the questionnaire's directory; `problem` is `empty`, `outside` or `missing` when it cannot be
    used.
    """

    path: str = ""
    fragment: str = ""
    problem: str = ""

    @property
    def kind(self) -> str:
        """The artefact that its name makes it, or nothing."""
        return kind_of(self.path)


class Surroundings(Struct, frozen=True, kw_only=True):
    """`cited` by the text of the evidence; `artifacts` and what is wrong with unreadable ones by relative path."""

    cited: Mapping[str, Cited] = {}
    artifacts: Mapping[str, Artifact] = {}
    unreadable: Mapping[str, str] = {}
    logs: frozenset[str] = frozenset()


def look_around(questionnaire: Questionnaire) -> Surroundings:
    """Find what is cited, and read the artefacts. Raises nothing: what cannot be read is said to be so."""
    directory = questionnaire.path.absolute().parent
    texts = {
        each.text for entry in questionnaire.entries for each in entry.evidence if each.text and not is_web(each.text)
    }
    cited = {text: _found(directory, resolve(text, directory)) for text in texts}
    paths = {each.path for each in cited.values() if not each.problem}
    present = {path for path in paths if kind_of(path)} | {name for name in NAMES if (directory / name).is_file()}
    artifacts: dict[str, Artifact] = {}
    unreadable: dict[str, str] = {}
    for path in sorted(present):
        try:
            artifacts[path] = parse(path, (directory / path).read_bytes())
        except (OSError, ValueError) as error:
            unreadable[path] = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return Surroundings(
        cited=cited,
        artifacts=artifacts,
        unreadable=unreadable,
        logs=frozenset(path for path in paths if _looks_like_a_log(directory / path)),
    )


def resolve(text: str, directory: Path) -> Cited:
    """The file that a text means. Source: resolveEvidencePath of the official validator since 1.37, for any version."""
    raw, _, fragment = text.strip().removeprefix("file://").partition("#")
    raw = raw.strip().removeprefix("/")
    if not raw:
        return Cited(problem="empty")
    own = f"{directory.parent.name}/{directory.name}/"
    if raw.startswith(own):
        raw = raw.removeprefix(own)
    elif _OTHERS.match(raw):
        return Cited(path=raw, fragment=fragment, problem="outside")
    relative = PurePosixPath(os.path.normpath(raw))
    if relative.parts[:1] == ("..",) or relative == PurePosixPath():
        return Cited(path=raw, fragment=fragment, problem="outside")
    return Cited(path=str(relative), fragment=fragment)


def _found(directory: Path, cited: Cited) -> Cited:
    if cited.problem:
        return cited
    try:
        there = (directory / cited.path).exists()
    except (OSError, ValueError):
        # A name too long, or with a zero byte: no file has it.
        there = False
    return cited if there else Cited(path=cited.path, fragment=cited.fragment, problem="missing")


def _looks_like_a_log(path: Path) -> bool:
    """Whether a file of another name holds results of go test."""
    if kind_of(path.name) or path.suffix.lower() not in (".log", ".txt", ".xml", ".json") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError:
        return False
    return b"--- PASS: Test" in head or b"--- FAIL: Test" in head or b"<testcase " in head or b'"Test":"Test' in head
