"""Fetches a model that is brought, checks its digest, and names it for what it is."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.kinds.brought import Bring, BringResult
from plimsoll.runtime.outputs import files_in
from plimsoll.targets.attempt import STOPPED, Progress, done, failed
from plimsoll.targets.local.attempt import LocalAttempt
from plimsoll.targets.local.work.fetch import is_as_planned

MOST_TOKENIZER = 256 << 20


def bring(attempt: LocalAttempt[Bring]) -> Progress:
    """Fetch the model and its tokenizer into the step's output, under names that say what they are."""
    # They bring an HTTP client, which only this work needs.
    from plimsoll.application.licences import spdx_name
    from plimsoll.application.model_sources import parse_source
    from plimsoll.runtime.model_formats.recognise import recognise
    from plimsoll.runtime.packages.fetching import Fetching, digest_of

    yield from ()
    work = attempt.work
    with tempfile.TemporaryDirectory(prefix="bring-", dir=attempt.directory) as scratch:
        fetching = Fetching(
            folder=Path(scratch),
            kept=attempt.checkpoints,
            application=attempt.context.state.application,
            stopped=lambda: attempt.stopped,
        )
        try:
            fetched = fetching.files(parse_source(work.source), work.tokenizer)
            if attempt.stopped:
                return STOPPED
            digest = digest_of(fetched.model)
            if work.sha256 and digest != work.sha256:
                text = f"the model has sha256 {digest}, but the file requires {work.sha256}"
                return failed(f"{work.source}: {text}: the model or the digest is wrong", lasting=True)
            if not work.sha256 and not _is_as_planned(attempt, digest):
                return failed(f"{work.source} has changed since the run began: run again, to use it as it is now")
            recognised = recognise(fetched.model, work.source)
            fetched.model.rename(attempt.output / f"model.{recognised.format}")
            if fetched.tokenizer is not None:
                _require_tokenizer(fetched.tokenizer, work.tokenizer)
                fetched.tokenizer.rename(attempt.output / f"tokenizer{fetched.tokenizer.suffix}")
        except OSError as error:
            free = shutil.disk_usage(attempt.output).free / 2**30
            hint = f"check the disk: {free:.1f} GiB are free"
            raise TargetError(f"cannot fetch the model: {error}", where=work.source, hint=hint) from error
    says = (
        (work.licence, "the application file"),
        (spdx_name(fetched.licence), "its package"),
        (spdx_name(recognised.licence), "the model file"),
    )
    licence, licence_from = next((each for each in says if each[0]), ("", ""))
    return done(
        BringResult(
            outputs=files_in(attempt.output),
            metrics=recognised.metrics,
            sha256=digest,
            format=recognised.format,
            about=recognised.about,
            licence=licence,
            licence_from=licence_from,
            notes=_notes(licence, says),
        )
    )


def _is_as_planned(attempt: LocalAttempt[Bring], digest: str) -> bool:
    """Whether a file or an address has the content that the step's key stands for; other sources cannot change."""
    from plimsoll.application.model_sources import Address, LocalPath, parse_source

    match parse_source(attempt.work.source):
        case LocalPath():
            return attempt.step.ingredients[0].digest == digest
        case Address():
            return is_as_planned(attempt.step, attempt.work.source, digest)
        case _:
            return True


def _require_tokenizer(path: Path, name: str) -> None:
    """Raise TargetError for a tokenizer that says that it is JSON and is none."""
    if path.suffix != ".json":
        return
    try:
        whole = path.stat().st_size <= MOST_TOKENIZER and isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise TargetError("the tokenizer is no JSON object", where=name, hint="name its tokenizer.json", lasting=True)


def _notes(licence: str, says: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """A sentence for each place that names another licence than the one that counts."""
    other = [(text, who) for text, who in says if text and text.casefold() != licence.casefold()]
    return tuple(f"{who} names another licence: {text[:100]}" for text, who in other)
