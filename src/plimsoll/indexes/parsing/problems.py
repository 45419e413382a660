"""What is wrong with a document."""

from __future__ import annotations


class BadDocument(ValueError):
    """A document cannot be read; the message completes "the document …"."""


def decoded(content: bytes) -> str:
    """Decode text: UTF-8, or UTF-16 with its mark. Raises BadDocument for anything else.

    A guess at another encoding would put wrong letters into the index in silence.
    """
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadDocument(f"is not {encoding.removesuffix('-sig').upper()} from byte {error.start} on") from None
    if "\x00" in text:
        raise BadDocument(f"has the byte 0 at character {text.index(chr(0))}, so that it is no text")
    return text
