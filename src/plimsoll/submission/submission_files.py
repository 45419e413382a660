"""Reads the files beside a questionnaire: the files that it cites, and the official suite's artefacts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from msgspec import Struct

from plimsoll.submission.artifacts import ARTIFACT_NAMES, Artifact, artifact_kind, parse_artifact
from plimsoll.submission.questionnaire import Questionnaire
from plimsoll.submission.urls import is_web_url

_PRODUCT_PATH = re.compile(r"v\d+\.\d+/[^/]+/")


class CitedFile(Struct, frozen=True, kw_only=True):
    """A local file that a questionnaire cites as evidence.

    `path` is relative to the questionnaire's directory. `problem` is `empty`, `outside` or `missing` for a file that
    cannot be used.
    """

    path: str = ""
    fragment: str = ""
    problem: str = ""

    @property
    def kind(self) -> str:
        """The official artefact that the file name stands for, or an empty string."""
        return artifact_kind(self.path)


class SubmissionFiles(Struct, frozen=True, kw_only=True):
    """`cited` is by the text of the evidence item, the rest by path relative to the questionnaire.

    `unreadable` gives the reason for each artefact that cannot be read. `misnamed_results` are cited files that hold
    results of go test under a name that the validator does not read.
    """

    cited: Mapping[str, CitedFile] = {}
    artifacts: Mapping[str, Artifact] = {}
    unreadable: Mapping[str, str] = {}
    misnamed_results: frozenset[str] = frozenset()


def read_submission_files(questionnaire: Questionnaire) -> SubmissionFiles:
    """Find the cited files and parse the artefacts. Raises nothing: an unreadable artefact is part of the result."""
    directory = questionnaire.path.absolute().parent
    texts = {each.text for entry in questionnaire.entries for each in entry.evidence if each.text}
    cited = {text: _existing(directory, resolve_citation(text, directory)) for text in texts if not is_web_url(text)}
    paths = {each.path for each in cited.values() if not each.problem}
    present = {name for name in ARTIFACT_NAMES if (directory / name).is_file()}
    present |= {path for path in paths if artifact_kind(path)}
    artifacts: dict[str, Artifact] = {}
    unreadable: dict[str, str] = {}
    for path in sorted(present):
        try:
            artifacts[path] = parse_artifact(path, (directory / path).read_bytes())
        except (OSError, ValueError) as error:
            unreadable[path] = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return SubmissionFiles(
        cited=cited,
        artifacts=artifacts,
        unreadable=unreadable,
        misnamed_results=frozenset(path for path in paths if _has_misnamed_results(directory / path)),
    )


def resolve_citation(text: str, directory: Path) -> CitedFile:
    """The file that an evidence item names; whether it exists is not checked.

    Source: resolveEvidencePath of the official validator since 1.37. It is applied to every version.
    """
    raw, _, fragment = text.strip().removeprefix("file://").partition("#")
    raw = raw.strip().removeprefix("/")
    if not raw:
        return CitedFile(problem="empty")
    own = f"{directory.parent.name}/{directory.name}/"
    if raw.startswith(own):
        raw = raw.removeprefix(own)
    elif _PRODUCT_PATH.match(raw):
        return CitedFile(path=raw, fragment=fragment, problem="outside")
    relative = PurePosixPath(os.path.normpath(raw))
    if relative.parts[:1] == ("..",) or relative == PurePosixPath():
        return CitedFile(path=raw, fragment=fragment, problem="outside")
    return CitedFile(path=str(relative), fragment=fragment)


def _existing(directory: Path, cited: CitedFile) -> CitedFile:
    """The cited file, marked as missing when it does not exist."""
    if cited.problem:
        return cited
    try:
        exists = (directory / cited.path).exists()
    except (OSError, ValueError):
        # The name is too long or holds a zero byte, so no such file can exist.
        exists = False
    return cited if exists else CitedFile(path=cited.path, fragment=cited.fragment, problem="missing")


def _has_misnamed_results(path: Path) -> bool:
    """Whether a file whose name the validator does not read holds results of go test."""
    if artifact_kind(path.name) or path.suffix.lower() not in (".log", ".txt", ".xml", ".json") or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError:
        return False
    return b"--- PASS: Test" in head or b"--- FAIL: Test" in head or b"<testcase " in head or b'"Test":"Test' in head
