"""Judges a request of admission: everything that it would run or mount has to be signed, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Protocol

from msgspec import Struct

from plimsoll.errors import ModelRefused, PlimsollError
from plimsoll.registry.references import parse_reference
from plimsoll.runtime.admission.images import Json, Named, images_of
from plimsoll.runtime.admission.reviews import Request

JUDGE_LIMIT = 8.0
"""Seconds for all images of a request: less than the API server waits for the answer."""
MOST_IMAGES = 128
"""Images of one request."""
PARALLEL = 16
JUDGED = ("CREATE", "UPDATE")


class Verifying(Protocol):
    """Verifies images."""

    def verified(self, image: str) -> str:
        """The digest of a signed image. Raises PlimsollError."""


class Judged(Struct, frozen=True, kw_only=True):
    """Why a request is refused, empty when it is allowed; and the changes that pin its images."""

    refused: str = ""
    patches: tuple[dict[str, Json], ...] = ()


class Judge:
    """Judges requests with threads that all of them share."""

    def __init__(self, signatures: Verifying) -> None:
        self._signatures = signatures
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="admission")

    def pinned(self, request: Request) -> Judged:
        """For requests that may still be changed: names without a digest get the one that was verified."""

        def patches(images: Sequence[Named], digests: Sequence[str]) -> tuple[dict[str, Json], ...]:
            return tuple(
                {"op": "replace", "path": each.pointer, "value": f"{each.image}@{digest}"}
                for each, digest in zip(images, digests, strict=True)
                if "@" not in each.image
            )

        return self._judged(request, patches)

    def judged(self, request: Request) -> Judged:
        """For requests as they will be stored. A pod has to name digests: nodes ask the registry again for a tag."""
        if request.kind.kind == "Pod":
            try:
                for each in _new_images(request):
                    if not parse_reference(each.image).digest:
                        hint = "the webhook that pins images has not judged it: name the image by @sha256:…"
                        raise ModelRefused(f"{each.image[:300]} has no digest", where=each.place, hint=hint)
            except PlimsollError as error:
                return Judged(refused=_told([error.on_one_line()]))
        return self._judged(request, lambda _images, _digests: ())

    def _judged(
        self,
        request: Request,
        patches: Callable[[Sequence[Named], Sequence[str]], tuple[dict[str, Json], ...]],
    ) -> Judged:
        if request.operation not in JUDGED or request.object is None:
            return Judged(refused=_told([f"requests to {request.operation[:40]} are not judged here"]))
        try:
            images = _new_images(request)
            if len(images) > MOST_IMAGES:
                raise ModelRefused(f"the object has {len(images)} images, more than {MOST_IMAGES}")
        except PlimsollError as error:
            return Judged(refused=_told([error.on_one_line()]))
        asked = {each.image: self._threads.submit(self._signatures.verified, each.image) for each in images}
        wait_for(asked.values(), timeout=JUDGE_LIMIT)
        problems = [f"{each.place}: {why}" for each in images if (why := _why(asked[each.image], each.image))]
        if problems:
            return Judged(refused=_told(problems))
        return Judged(patches=patches(images, [asked[each.image].result() for each in images]))


def _new_images(request: Request) -> list[Named]:
    """The images of a request that the object did not have before: what stands may lose its finalizers."""
    images = images_of(request.object)
    if request.operation != "UPDATE" or request.old_object is None:
        return images
    before = {(each.pointer, each.image) for each in images_of(request.old_object)}
    return [each for each in images if (each.pointer, each.image) not in before]


def _why(asked: Future[str], image: str) -> str:
    """Why an image is refused; empty when it is signed."""
    if not asked.done():
        asked.cancel()
        return f"{image[:300]} could not be verified within {JUDGE_LIMIT:g} s; try again"
    problem = asked.exception()
    if problem is None:
        return ""
    if isinstance(problem, PlimsollError):
        return f"{image[:300]}: {problem.on_one_line()}"
    return f"{image[:300]} could not be verified: {type(problem).__name__}"


def _told(problems: list[str]) -> str:
    return f"refused by Plimsoll: {'; '.join(problems)}"
