"""The official template from where it is published, when the user asks for it."""

from __future__ import annotations

from plimsoll.errors import TargetError

SOURCE = "https://raw.githubusercontent.com/cncf/k8s-ai-conformance/main/docs/AIConformance-{version}.yaml"
PAGE = "https://github.com/cncf/k8s-ai-conformance/blob/main/docs/AIConformance-{version}.yaml"
LIMIT = 20.0
"""Seconds without a byte: the template has ten thousand of them."""
LARGEST = 1 << 20


def download(version: str, source: str = SOURCE) -> bytes:
    """The template of a version. Raises TargetError saying where to get it by hand."""
    import http.client
    import urllib.error
    import urllib.request

    address = source.format(version=version)
    if not address.startswith("https://"):
        raise TargetError("templates are fetched by https only", where=address)
    try:
        with urllib.request.urlopen(address, timeout=LIMIT) as answer:  # noqa: S310 - the scheme is checked above
            content: bytes = answer.read(LARGEST + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise TargetError(
            f"the template of {version} could not be fetched: {reason}",
            where=address,
            hint=f"save {PAGE.format(version=version)} and name it with --template",
        ) from None
    if len(content) > LARGEST:
        raise TargetError(f"what lies there has more than {LARGEST} bytes and is no template", where=address)
    return content
