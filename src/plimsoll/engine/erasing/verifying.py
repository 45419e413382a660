"""Searches again for somebody who was erased, by a certificate that says nothing of them."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.engine.erasing.certificate import Certificate, key_id, key_of, read_certificate
from plimsoll.engine.erasing.finding import Found
from plimsoll.engine.erasing.search import Search
from plimsoll.errors import PlimsollError
from plimsoll.signing.keys import KeyRing
from plimsoll.subjects.identity import HashedSubject, Matcher, Subject
from plimsoll.targets.port import Target


class VerifiedErasure(Struct, frozen=True, kw_only=True):
    """A certificate whose signature is right, and what is found of the person now."""

    certificate: Certificate
    found: Found


def verify(file: ApplicationFile, target: Target, path: Path, subject: Subject | None) -> VerifiedErasure:
    """Check a certificate, and search. Without the person's id, cells are compared with its keyed digest.

    Raises PlimsollError for a certificate that is not signed so, is of another application, or of somebody else.
    """
    path = target.state.found(path)
    certificate = read_certificate(path, KeyRing.default())
    if certificate.application != file.application.name:
        text = f"the certificate is of the application '{certificate.application}'"
        raise PlimsollError(text, where=str(path), hint="name its file with -f")
    key = key_of(target.state)
    if key_id(key) != certificate.key:
        hint = "restore .plimsoll/erasures/key as it was when the person was erased"
        raise PlimsollError("the certificate was made with another key", where=str(path), hint=hint)
    if subject is not None and subject.digest(key) != certificate.subject:
        raise PlimsollError("the certificate is of another person", where="--subject", hint="leave --subject out")
    matcher: Matcher = subject or HashedSubject(certificate.subject, key)
    found = Search(file, target, matcher, sources=certificate.sources).find()
    return VerifiedErasure(certificate=certificate, found=found)
