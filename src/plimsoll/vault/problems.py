"""What is wrong with what was sealed, as errors of one sentence."""

from __future__ import annotations

from plimsoll.errors import TargetError

RESTORE = "restore .plimsoll/sealed from a backup, or delete it and run again: what was lost is computed anew"


class SealedDamaged(TargetError):
    """A sealed file is not as it was written."""

    lasting = True


class KeyProblem(TargetError):
    """The key is not there, cannot be used, or is another one."""

    lasting = True
