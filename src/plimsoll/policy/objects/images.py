"""Images of pods: by digest, and from registries that are allowed. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from plimsoll.application.policies import Images, Policies
from plimsoll.policy.objects.pods import PodSpec
from plimsoll.policy.objects.rule import Rule, images_of

PINNED = r"^[^@]+@sha256:[0-9a-f]{64}$"


def image_problem(image: str, wanted: Images) -> str:
    """What of an image is not as it is wanted, as the predicate of a sentence; empty when nothing is."""
    return (not_pinned(image) if wanted.pinned else "") or not_from(image, wanted.registries)


def not_pinned(image: str) -> str:
    """Says that an image has no digest, and may mean other content tomorrow."""
    return "" if re.search(PINNED, image) else "it is not named by its digest, and may be another tomorrow"


def not_from(image: str, registries: tuple[str, ...]) -> str:
    """Says that an image is from elsewhere. A name that only begins like a registry is another's."""
    if not registries or any(image.startswith(f"{each}/") for each in registries):
        return ""
    return f"it is not from {' or '.join(registries)}"


def _images(pod: PodSpec) -> Iterator[tuple[str, str]]:
    """The images of containers, and those that are mounted as volumes, with what has them."""
    for name, container in pod.containers:
        yield name, str(container.get("image") or "")
    for volume in pod.volumes:
        if isinstance(mounted := volume.get("image"), dict):
            yield f"volumes[{volume.get('name', '')}]", str(mounted.get("reference") or "")


def _unpinned(pod: PodSpec, _: Policies) -> Iterator[str]:
    for name, image in _images(pod):
        if problem := not_pinned(image):
            yield f"{name}: {image or 'no image'}: {problem}"


def _elsewhere(pod: PodSpec, policies: Policies) -> Iterator[str]:
    for name, image in _images(pod):
        if problem := not_from(image, images_of(policies).registries):
            yield f"{name}: {image or 'no image'}: {problem}"


def _from_expression(policies: Policies) -> str:
    any_of = " || ".join(f"i.startsWith({json.dumps(each + '/')})" for each in images_of(policies).registries)
    return f"variables.images.all(one, one.all(i, {any_of}))"


RULES = (
    Rule(
        name="images-pinned",
        says="every image is named by its digest",
        remedy="name images as REPOSITORY@sha256:…",
        asks=lambda policies: images_of(policies).pinned,
        problems=_unpinned,
        cel=lambda _: f"variables.images.all(one, one.all(i, i.matches({json.dumps(PINNED)})))",
    ),
    Rule(
        name="registries",
        says="every image is from an allowed registry",
        remedy="copy the image into an allowed registry, and name it there",
        asks=lambda policies: bool(images_of(policies).registries),
        problems=_elsewhere,
        cel=_from_expression,
    ),
)
