"""`plimsoll audit log`: what the own key has signed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import click
import msgspec

from plimsoll.cli.options import print_json
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError, ModelRefused
from plimsoll.files import open_regular
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.log_entries import Finding, against_noted
from plimsoll.signing.log_reading import (
    VerifiedLog,
    Witness,
    check_proof,
    noted_from,
    prove_entry,
    prove_growth,
    verify_log,
)


def show(*, as_json: bool) -> int:
    """Print the entries; the exit status is 1 when the log is not as it was signed."""
    log = verify_log(KeyRing.default())
    if as_json:
        print_json({"whole": not log.findings, "entries": log.read.entries})
    else:
        for each in log.read.entries:
            at = f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
            click.echo(one_line(f"{each.n:>6}  {at}  {each.key[:16]:<16}  {each.words()}"))
        _say_findings(log.findings)
    return 1 if log.findings else 0


def verify(witnesses: Sequence[Path], expect: Sequence[str], *, as_json: bool) -> int:
    """Verify the log, by itself and by heads that were noted elsewhere."""
    log = verify_log(KeyRing.default())
    noted = [noted_from(each) for each in expect]
    findings = [*log.findings, *(found for each in noted if (found := against_noted(log.read, *each)) is not None)]
    kept = [Witness(path) for path in witnesses]
    findings += [found for witness in kept if (found := witness.compare(log.read)) is not None]
    if not findings and log.head is not None:
        for witness in kept:
            witness.note(log.head)
    if as_json:
        head = log.head.text() if log.head is not None else None
        about = {"whole": not findings, "entries": len(log.read.leaves), "pending": log.pending, "head": head}
        print_json({**about, "findings": findings})
    elif findings:
        _say_findings(findings)
    else:
        _say_whole(log, len(noted) + len(kept))
    return 1 if findings else 0


def _say_whole(log: VerifiedLog, compared: int) -> None:
    others = f", and begins with what {compared} noted heads have" if compared else ""
    click.echo(f"{len(log.read.leaves)} entries are whole{others}")
    if log.pending:
        click.echo(
            f"{log.pending} lines beyond the head were never signed, as a process was killed; they go with the next one"
        )
    if log.head is not None:
        click.echo(f"head {log.head.text()}")


def _say_findings(findings: Sequence[Finding]) -> None:
    for each in findings:
        click.echo(one_line(f"{each.kind}: {each.place}: {each.text}"))


def prove(entry: str | None, since: int | None) -> int:
    """Print a proof about the log. Raises FileError for a log that is not as it was signed."""
    keys = KeyRing.default()
    log = verify_log(keys)
    if log.findings or keys.log is None:
        raise FileError("the log is not as it was signed, and proves nothing", hint="plimsoll audit log --verify")
    proof = prove_entry(log, keys.log.entries, entry) if entry is not None else prove_growth(log, since or 0)
    sys.stdout.write(msgspec.json.encode(proof).decode() + "\n")
    return 0


def check(path: Path, expect: Sequence[str], *, as_json: bool) -> int:
    """Check a proof of somebody whose key is trusted here."""
    noted = [noted_from(each) for each in expect]
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise FileError(f"the proof cannot be read: {error.strerror}", where=str(path)) from error
    try:
        proof, head = check_proof(content, KeyRing.default(), noted[0] if noted else None)
    except ModelRefused as error:
        raise ModelRefused(error.message, where=str(path), hint=error.hint) from error
    if as_json:
        print_json({"holds": True, "head": head.text(), "entry": proof.entry or None, "index": proof.index})
    elif proof.entry:
        click.echo(one_line(f"entry {proof.index} is in the log {head.log} of {head.size} entries: {proof.entry}"))
    else:
        click.echo(f"the log {head.log} of {head.size} entries began with the {proof.size} that were noted")
    return 0
