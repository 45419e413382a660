"""`spec.encryption`: the key under which all that the application keeps is encrypted at rest."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plimsoll.application.parts import Part

AT = ("spec", "encryption")
"""The path of keys of the encryption in a file."""


class KeyPlace(Part, frozen=True, kw_only=True):
    """Where the key is; the key itself is never in the file."""

    file: (
        Annotated[
            str,
            Meta(
                min_length=1,
                pattern=r"^[^\x00]+$",
                description="a file that you alone may read: 32 random bytes, also in hexadecimal or base64",
                examples=["~/.config/plimsoll/encryption/shop.key"],
            ),
        ]
        | None
    ) = None
    env: (
        Annotated[
            str,
            Meta(
                # What begins so is handed on to no step.
                pattern=r"^PLIMSOLL_[A-Za-z0-9_]{1,119}$",
                description="the name of the environment variable that has the key; it begins with PLIMSOLL_",
                examples=["PLIMSOLL_ENCRYPTION_KEY"],
            ),
        ]
        | None
    ) = None
    secret: (
        Annotated[
            str,
            Meta(
                pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[-._a-zA-Z0-9]{1,253}$",
                description="NAME/ENTRY of the Secret in which pods of a cluster find the same key",
                examples=["shop/key"],
            ),
        ]
        | None
    ) = None
    command: (
        Annotated[
            tuple[Annotated[str, Meta(min_length=1, pattern=r"^[^\x00]+$")], ...],
            Meta(
                min_length=1,
                description="a program before a KMS; it is called with `wrap` or `unwrap`, reads base64 and prints it",
                examples=[["./kms.sh"]],
            ),
        ]
        | None
    ) = None


class Encryption(Part, frozen=True, kw_only=True):
    """How what the application keeps is encrypted at rest."""

    key: Annotated[KeyPlace, Meta(description="where the key is: `file`, `env` or `command`, and `secret`")]
    clusters: (
        Annotated[
            Literal["plain"],
            Meta(description="plain: a run on a cluster may keep results in its registry in clear"),
        ]
        | None
    ) = None
    workspace: (
        Annotated[
            str,
            Meta(
                min_length=1,
                pattern=r"^(/|~)[^\x00]*$",
                description="an absolute path for plain files while they are used; left out, they are in memory",
            ),
        ]
        | None
    ) = None
