"""Reads a YAML document as plain values with the place of each; every syntax error is a FileError."""

from __future__ import annotations

from pathlib import Path

from plimsoll.documents.places import Places, display_path
from plimsoll.documents.reading import Reader, at, describe_value, yaml_nodes
from plimsoll.errors import FileError

MAX_BYTES = 4 << 20
"""Size limit of a file: hand-written files are smaller, and a larger one was probably named by mistake."""


def read_document(path: Path) -> tuple[dict[str, object], Places]:
    """Read the mapping in a file, and the place of each of its values. Raises FileError."""
    file = display_path(path)
    with yaml_nodes(read_text_file(path, file), file) as document:
        if document.node is None:
            raise FileError("the file is empty", where=file, hint="plimsoll init writes an example")
        if document.following is not None:
            raise FileError(
                "the file has more than one document",
                where=at(file, document.following),
                hint="one file is one application: move the second document into another file",
            )
        reader = Reader(file, document.loader)
        value = reader.read(document.node, ())
    if not isinstance(value, dict):
        raise FileError(
            f"expected a mapping of keys to values, got {describe_value(value)}",
            where=f"{file}:1:1",
            hint="plimsoll init writes an example",
        )
    return value, Places(file=file, values=reader.values, keys=reader.keys)


def read_text_file(path: Path, file: str) -> str:
    """Read a text file. Raises FileError when it is missing, too large or not UTF-8."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(
            "there is no such file",
            where=file,
            hint="name the application file with -f, or create one with plimsoll init",
        ) from None
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}", where=file) from None
    if len(content) > MAX_BYTES:
        hint = "check that this is the file that you mean"
        raise FileError(f"the file has {len(content)} bytes; the limit is {MAX_BYTES}", where=file, hint=hint)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError("this is not UTF-8 text", where=f"{file}:{line}:1", hint="save the file as UTF-8") from None
