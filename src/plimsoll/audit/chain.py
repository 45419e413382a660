"""The chain of an audit log: each line has a number, the digest of the line before, and its own digest. Pure.

    {"at":"…","event":"inference",…,"chain":"5f…","n":17,"prev":"<digest of line 16>","hash":"<digest of this line>"}

The digest is SHA-256 over the bytes of the line up to `,"hash":`, so that what is verified is what was written, and not
a reading of it. A line of the event `checkpoint` has a signature over all that stands before it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from msgspec import Struct

CHECKPOINT, BEGIN, TORN, LOST, DROPPED = "checkpoint", "begin", "torn", "lost", "dropped"
"""The events of the log's own lines; all others are calls."""
ERASED = "erased"
"""The event of a line whose content was erased. Its number and digests stand, so that the chain goes through it."""
OWN = frozenset({CHECKPOINT, BEGIN, TORN, LOST, DROPPED})
NOTHING = "0" * 64
"""The digest before the first line."""
_LINE = re.compile(
    rb'(?P<hashed>\{.*,"chain":"(?P<chain>[0-9a-f]{16})","n":(?P<number>[1-9][0-9]{0,17}),"prev":"(?P<previous>[0-9a-f]{64})")'
    rb',"hash":"(?P<digest>[0-9a-f]{64})"\}',
    re.DOTALL,
)


class Link(Struct, frozen=True, kw_only=True):
    """Where a chain has come to: the number and the digest of its last line. `number` is 0 before the first."""

    chain: str
    number: int = 0
    digest: str = NOTHING


class Linked(Struct, frozen=True, kw_only=True):
    """A line of a chain as it stands in a file. `whole` says that its digest is that of its bytes."""

    link: Link
    previous: str
    whole: bool


def append(content: bytes, link: Link) -> tuple[bytes, Link]:
    """The line of a JSON object at the end of a chain, without a line end, and where the chain has come to then."""
    (line,), after = append_all([content], link)
    return line, after


def append_all(contents: Sequence[bytes], link: Link) -> tuple[list[bytes], Link]:
    """The lines of JSON objects that are not empty, one after the other, as `append` gives each of them.

    A service under load has thousands a second, so that this loop makes nothing but the lines.
    """
    chain, number, digest = link.chain.encode(), link.number, link.digest.encode()
    lines, sha256 = [], hashlib.sha256
    for content in contents:
        number += 1
        body = b'%b,"chain":"%b","n":%d,"prev":"%b"' % (content[:-1], chain, number, digest)
        digest = sha256(body).hexdigest().encode()
        lines.append(b'%b,"hash":"%b"}' % (body, digest))
    return lines, Link(chain=link.chain, number=number, digest=digest.decode())


def erased(line: bytes, content: bytes) -> bytes | None:
    """A line with another content, at its place in the chain with its old digest; `None` for what is no line."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return content[:-1] + line[found.start("chain") - len(b',"chain":"') :]


def read(line: bytes) -> Linked | None:
    """The place of a line in its chain; `None` for what is no line of a chain."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    digest = found["digest"].decode()
    return Linked(
        link=Link(chain=found["chain"].decode(), number=int(found["number"]), digest=digest),
        previous=found["previous"].decode(),
        whole=hashlib.sha256(found["hashed"]).hexdigest() == digest,
    )


def signed_text(link: Link) -> bytes:
    """What a checkpoint signs: that the chain had come to this line."""
    return f"plimsoll audit checkpoint\n{link.chain}\n{link.number}\n{link.digest}\n".encode()
