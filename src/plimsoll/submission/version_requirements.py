"""The requirements of one version of the programme, from the official template or from plimsoll's own table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.capabilities.requirements import REQUIREMENTS, VERSIONS
from plimsoll.errors import FileError
from plimsoll.submission.description_digests import DESCRIPTION_DIGESTS
from plimsoll.submission.questionnaire import Questionnaire, read_questionnaire

# MUSTs that accept N/A with a reason. Source: validate.go of cncf/k8s-ai-conformance since September 2026.
MUSTS_THAT_ACCEPT_NA = frozenset({"cluster_autoscaling"})


class VersionRequirements(Struct, frozen=True, kw_only=True):
    """Requirements of a version: `levels` and `categories` by id. `descriptions` are filled only from a template."""

    version: str
    levels: Mapping[str, str]
    categories: Mapping[str, str]
    descriptions: Mapping[str, str] = {}


def known_requirements(version: str) -> VersionRequirements | None:
    """Requirements of a version from plimsoll's own table; None for a version that the table does not have."""
    if version not in VERSIONS:
        return None
    wanted = [each for each in REQUIREMENTS.values() if version in each.levels]
    return VersionRequirements(
        version=version,
        levels={each.id: each.levels[version] for each in wanted},
        categories={each.id: each.category for each in wanted},
    )


def template_requirements(path: Path) -> VersionRequirements:
    """Requirements from an official template. Raises FileError when the file is not one."""
    template = read_questionnaire(path)
    entries = [each for each in template.entries if each.id and each.level]
    if not template.stated_version or not entries:
        missing = "requirements" if template.stated_version else "kubernetesVersion"
        raise FileError(
            f"this is not an official template: it has no {missing}",
            where=template.file,
            hint="use docs/AIConformance-X.Y.yaml of github.com/cncf/k8s-ai-conformance",
        )
    return VersionRequirements(
        version=template.stated_version,
        levels={each.id: each.level for each in entries},
        categories={each.id: each.category for each in entries},
        descriptions={each.id: each.description for each in entries},
    )


def effective_version(questionnaire: Questionnaire) -> str:
    """The version whose requirements apply to a questionnaire.

    It is the version of the directory, as for the official validator; without one, the version that the metadata
    states.
    """
    return questionnaire.directory_version or questionnaire.stated_version


def same_description(one: str, other: str) -> bool:
    """Whether two descriptions are equal, apart from spaces, quotes and dashes."""
    return _normalized(one) == _normalized(other)


def is_official_description(requirement: str, description: str) -> bool | None:
    """Whether a description is the official one of any version; None when the requirement's texts are not known."""
    digests = DESCRIPTION_DIGESTS.get(requirement)
    return None if digests is None else description_digest(description) in digests


def description_digest(description: str) -> str:
    """Digest of a description, apart from spaces, quotes and dashes.

    It recognises the official sentences without shipping them.
    """
    return hashlib.sha256(_normalized(description).encode()).hexdigest()[:24]


def _normalized(text: str) -> str:
    for odd, plain in (("‘’`", "'"), ("“”", '"'), ("–—‑", "-")):
        text = re.sub(f"[{odd}]", plain, text)
    return " ".join(text.split()).rstrip(".")
