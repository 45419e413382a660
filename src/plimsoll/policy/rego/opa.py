"""Rego by the program `opa` of Open Policy Agent, where it is on PATH."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.policy.rego.engine import SECONDS, Answer, NotRego, Query
from plimsoll.policy.rego.files import RuleFile
from plimsoll.policy.rego.process import Ended, run_limited

PROGRAM = "opa"
FORBIDDEN = frozenset({"http.send", "net.lookup_ip_addr", "opa.runtime", "rego.parse_module"})
"""Built-in functions that reach out of the rules: what they say must depend on the document alone."""
_LEAST = 0.5


class _Place(msgspec.Struct, frozen=True):
    file: str = ""
    row: int = 0
    col: int = 0


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    code: str = ""
    location: _Place = _Place()


class _Expression(msgspec.Struct, frozen=True):
    value: object = None


class _Result(msgspec.Struct, frozen=True):
    expressions: tuple[_Expression, ...] = ()


@decodable
class _Evaluated(msgspec.Struct, frozen=True):
    result: tuple[_Result, ...] = ()
    errors: tuple[_Error, ...] = ()


class Opa:
    """Calls the program once for each query, so that one that does not end is known by its place."""

    def __init__(self, program: str) -> None:
        self._program = program

    def evaluate(self, files: Sequence[RuleFile], document: bytes, queries: Sequence[Query]) -> Sequence[Answer]:
        """An answer for each query. Raises NotRego."""
        until = time.monotonic() + SECONDS
        with tempfile.TemporaryDirectory(prefix="plimsoll-rules-") as name:
            directory = Path(name)
            names = _written(files, directory)
            limits = _capabilities(self._program, directory, until)

            def answers(*flags: str) -> list[Answer]:
                return [self._answer(query, directory, names, limits, document, flags, until) for query in queries]

            try:
                return answers()
            except NotRego as error:
                try:
                    # The older form of rules, `deny[message] { … }`, is another version of the language.
                    return answers("--v0-compatible")
                except NotRego:
                    raise error from None

    def _answer(
        self,
        query: Query,
        directory: Path,
        names: dict[str, str],
        limits: Path,
        document: bytes,
        flags: Sequence[str],
        until: float,
    ) -> Answer:
        words = ["eval", "--format", "json", "--strict-builtin-errors", "--capabilities", str(limits), *flags]
        command = [self._program, *words, "--stdin-input", "--data", str(directory / "rules"), query.text]
        ended = run_limited(command, document, max(_LEAST, until - time.monotonic()))
        try:
            found = msgspec.json.decode(ended.output, type=_Evaluated)
        except UNREADABLE:
            return Answer(query=query, problem=ended.end)
        for error in found.errors:
            where = (
                f"{names.get(Path(error.location.file).name, query.where)}:{error.location.row}:{error.location.col}"
            )
            if error.code.startswith("rego_"):
                raise NotRego(error.message, where)
            return Answer(query=query, problem=f"{error.message} at {where}")
        if ended.stopped or ended.status:
            return Answer(query=query, problem=ended.end)
        values = [expression.value for result in found.result for expression in result.expressions]
        return Answer(query=query, value=values[0] if values else None)


def find_opa() -> Opa | None:
    """The program, where there is one."""
    found = shutil.which(PROGRAM)
    return Opa(found) if found else None


def _written(files: Sequence[RuleFile], directory: Path) -> dict[str, str]:
    """The files under names that nothing of a user's is in, and what each is called in messages."""
    (directory / "rules").mkdir()
    names = {}
    for number, file in enumerate(files):
        name = f"{number}.rego"
        (directory / "rules" / name).write_text(file.text, encoding="utf-8")
        names[name] = file.name
    return names


def _capabilities(program: str, directory: Path, until: float) -> Path:
    """What rules may call: all that the program knows but for what reaches out."""
    ended: Ended = run_limited([program, "capabilities", "--current"], b"", max(_LEAST, until - time.monotonic()))
    try:
        known = msgspec.json.decode(ended.output, type=dict[str, object])
    except UNREADABLE as error:
        raise NotRego(f"`{PROGRAM} capabilities` says nothing: {ended.end}", program) from error
    builtins = known.get("builtins")
    kept = [each for each in builtins if isinstance(each, dict)] if isinstance(builtins, list) else []
    known["builtins"] = [each for each in kept if each.get("name") not in FORBIDDEN]
    known["allow_net"] = []
    path = directory / "capabilities.json"
    path.write_bytes(msgspec.json.encode(known))
    return path
