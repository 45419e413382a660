"""Verification of the files of a log with the keys that its owner has certified."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from plimsoll.audit.chain import Link
from plimsoll.audit.files import lines_of, read_head
from plimsoll.audit.verification import Verified, verify
from plimsoll.errors import PlimsollError
from plimsoll.signing.checkpoints import CertifiedKeys
from plimsoll.signing.keys import KeyRing


def verify_files(
    files: Sequence[Path],
    service: str,
    keys: Path | None,
    *,
    expected: Sequence[Link] = (),
    erased: Collection[Link] = (),
    stream: bool = False,
) -> Verified:
    """What the files of a service's log have. `keys` is the directory of its certificates. Raises FileError.

    `erased` are lines whose content was erased, by certificates that were verified.
    """
    certified = CertifiedKeys(keys, service, KeyRing.default()) if keys is not None else None
    # Before the lines: a server may write more while they are read.
    head = None if stream else read_head(files[-1])
    verified = verify(
        lambda: lines_of(files),
        signatures=certified,
        head=head.link if head is not None else None,
        expected=expected,
        erased=erased,
        stream=stream,
    )
    if certified is not None:
        verified.notes += certified.problems
    if head is None and not stream:
        verified.notes.append("there is no head beside the log: lines that were cut off its end cannot be told")
    return verified


def expected_from(written: str) -> Link:
    """A line from what `verify` printed: `CHAIN:N:DIGEST`. Raises PlimsollError."""
    found = re.fullmatch(r"([0-9a-f]{16}):([1-9][0-9]{0,17}):([0-9a-f]{64})", written)
    if found is None:
        hint = "write it as CHAIN:N:DIGEST, as the verb prints it after `head`"
        raise PlimsollError(f"'{written[:120]}' is no line of a log", where="--expect", hint=hint)
    return Link(chain=found[1], number=int(found[2]), digest=found[3])
