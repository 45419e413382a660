"""Which cluster and which user a target's name means, by the rules of kubectl.

Files are read (`files`), become values that know their place (`document`) and are merged (`merging`); a context is
chosen and all that it needs is read and checked (`choosing`). Only `files` and `choosing` touch the disk.
"""

from __future__ import annotations

from plimsoll.kubernetes.kubeconfig.access import Access, Certificate, Impersonation
from plimsoll.kubernetes.kubeconfig.choosing import named, namespace_of

__all__ = ["Access", "Certificate", "Impersonation", "named", "namespace_of"]
