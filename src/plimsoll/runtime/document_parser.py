"""`python -m plimsoll.runtime.document_parser`: reads documents in a process of its own, with bounded memory.

A line of JSON on standard input names a file, a line on standard output answers. Parsers of PDF and Word documents are
large programs that read what strangers wrote: the memory and the time that one document takes are bounded here and in
`document_reader`, and a document that breaks the process breaks nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.indexes.documents import Block
from plimsoll.indexes.parsing import PARSERS
from plimsoll.indexes.parsing.problems import BadDocument

MEMORY = 2 * 2**30
"""Bytes of address space of the process."""
MOST_TEXT = 64 * 2**20
"""Characters of one document."""


@decodable
class Parsed(Struct, frozen=True, omit_defaults=True):
    """The text of a document and its blocks, or the `problem` with it, which completes "the document …"."""

    text: str = ""
    blocks: tuple[Block, ...] = ()
    problem: str = ""


def main() -> None:
    """Answer until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable(logging.CRITICAL)
    # A parser that prints must not print into the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(_parse(Path(msgspec.json.decode(line, type=str)))) + b"\n")
        answers.flush()


def _parse(path: Path) -> Parsed:
    try:
        text, blocks = PARSERS[path.suffix.lower()](path.read_bytes())
        if len(text) > MOST_TEXT:
            return Parsed(problem=f"has {len(text)} characters; the limit is {MOST_TEXT}")
        # Half of a pair of surrogates, which some parsers let through, is in no UTF-8.
        with contextlib.suppress(UnicodeEncodeError):
            text.encode()
            return Parsed(text, blocks)
        return Parsed(text.encode("utf-8", "replace").decode(), blocks)
    except BadDocument as error:
        return Parsed(problem=str(error))
    except MemoryError:
        return Parsed(problem=f"needs more than {MEMORY / 2**30:g} GiB of memory to be read")
    except RecursionError:
        return Parsed(problem="is nested too deeply")
    except OSError as error:
        return Parsed(problem=f"cannot be read: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - the fault of one document: the others are read all the same
        return Parsed(problem=f"cannot be read: {type(error).__name__}: {str(error)[:200]}")


if __name__ == "__main__":
    main()
