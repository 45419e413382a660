"""Models that are brought and not trained: where from, what they must be, and the step that fetches them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.model_sources import (
    Address,
    HubFile,
    LocalPath,
    ModelSource,
    Package,
    has_pattern,
    is_pinned,
    parse_source,
)
from plimsoll.application.paths import require_readable
from plimsoll.application.workspace import NamedSource
from plimsoll.kinds.dataset import REMOTE_RETRIES
from plimsoll.planning.keys import setting, text_digest
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, Ingredient, Work
from plimsoll.state.results import Result


class BringResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """The fetched model: its format by its bytes, its digest, and its licence with who says so."""

    sha256: str = ""
    format: str = ""
    about: str = ""
    licence: str = ""
    licence_from: str = ""

    def figure(self) -> str:
        """The format, the size and the licence."""
        size = self.metrics.get("bytes", 0.0)
        return f"{self.format}, {size / 1e6:.1f} MB, {self.licence or 'no known licence'}"

    def summary(self) -> Mapping[str, object] | None:
        """No entry: the registered version has one."""
        return None


class Bring(Work, frozen=True, kw_only=True):
    """Fetch a model and name it for what it is. `source` and `tokenizer` are as in the file; `licence` as declared."""

    verb: ClassVar[str] = "bring"
    result: ClassVar[type[Result]] = BringResult
    source: str
    sha256: str | None = None
    tokenizer: str = ""
    licence: str = ""

    @property
    def reads_here(self) -> bool:
        """It is fetched by this machine, whose key signs it."""
        return True


def check_source(file: ApplicationFile, source: str, tokenizer: str, sha256: str | None, *at: str | int) -> None:
    """Raise FileError for a source in a wrong form, one that may change unseen, and a path that is not there."""
    parsed = _parsed(file, source, *at, "source")
    _check_one(file, parsed, source, *at, "source")
    if isinstance(parsed, HubFile) and not is_pinned(parsed) and sha256 is None:
        text = f"the revision '{parsed.revision}' of a model hub may mean other content tomorrow"
        raise file.error(text, "set `sha256`, or name a commit of 40 hexadecimal digits", *at, "source")
    if tokenizer and not has_pattern(parsed) and not (isinstance(parsed, HubFile) and ":" not in tokenizer):
        _check_one(file, _parsed(file, tokenizer, *at, "tokenizer"), tokenizer, *at, "tokenizer")


def named_sources(name: str, source: str, tokenizer: str, sha256: str | None, *at: str) -> Iterator[NamedSource]:
    """The paths and addresses whose content has to be known before planning."""
    parsed = parse_source(source)
    if isinstance(parsed, Address | LocalPath):
        yield NamedSource(name=_key(name), source=source, sha256=sha256, at=(*at, "source"))
        if tokenizer and isinstance(parse_source(tokenizer), Address | LocalPath):
            place = (*at, "tokenizer")
            yield NamedSource(name=_key(name, "tokenizer"), source=tokenizer, sha256=None, at=place)


def plan_bring(name: str, work: Bring, planner: Planner) -> AnyStep:
    """Add the step that fetches a model."""
    made_of = [
        # Not the source itself as a name: an address may have credentials, and names are in the journal.
        Ingredient(kind="input", name="source", digest=_content(planner, name, work)),
        setting("licence", work.licence),
        setting("tokenizer", work.tokenizer),
    ]
    if digest := planner.workspace.sources.get(_key(name, "tokenizer")):
        made_of.append(Ingredient(kind="input", name="tokenizer", digest=digest))
    retries = 0 if isinstance(parse_source(work.source), LocalPath) else REMOTE_RETRIES
    return planner.add(name, work, made_of, retries=retries)


def _content(planner: Planner, name: str, work: Bring) -> str:
    known = planner.workspace.sources.get(_key(name), "")
    return work.sha256 or known or text_digest(work.source)


def _key(name: str, file: str = "model") -> str:
    """The name of a source of a model among those of datasets, which have no `/` in their names."""
    return f"models/{name}/{file}"


def _parsed(file: ApplicationFile, text: str, *at: str | int) -> ModelSource:
    try:
        return parse_source(text)
    except ValueError as error:
        forms = "a path, https://, s3://, gs://, hf://, oci://, pypi:, npm: or maven:"
        raise file.error(str(error), f"a source is {forms}; see models.NAME.source in docs/models.md", *at) from error


def _check_one(file: ApplicationFile, parsed: ModelSource, text: str, *at: str | int) -> None:
    if isinstance(parsed, LocalPath):
        require_readable(file, "the source", text, *at)
    if isinstance(parsed, Package) and "**" in parsed.pattern:
        raise file.error(f"'{parsed.pattern}' has `**`", "`*` stands for any characters, `/` too", *at)
