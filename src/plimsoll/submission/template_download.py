"""Downloads the official template from the programme's repository, when the user asks for it."""

from __future__ import annotations

from plimsoll.errors import TargetError

DOWNLOAD_URL = "https://raw.githubusercontent.com/cncf/k8s-ai-conformance/main/docs/AIConformance-{version}.yaml"
PAGE_URL = "https://github.com/cncf/k8s-ai-conformance/blob/main/docs/AIConformance-{version}.yaml"
TIMEOUT = 20.0
"""Seconds without a byte. The template has about ten thousand bytes."""
MAX_BYTES = 1 << 20


def download_template(version: str, source: str = DOWNLOAD_URL) -> bytes:
    """Download the template of a version. Raises TargetError that says where to get the file by hand."""
    import http.client
    import urllib.error
    import urllib.request

    url = source.format(version=version)
    if not url.startswith("https://"):
        raise TargetError("a template is downloaded over https only", where=url)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - the scheme is checked above
            content: bytes = response.read(MAX_BYTES + 1)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise TargetError(
            f"the template of {version} could not be downloaded: {reason}",
            where=url,
            hint=f"save {PAGE_URL.format(version=version)} and name the file with --template",
        ) from None
    if len(content) > MAX_BYTES:
        raise TargetError(
            f"the file has more than {MAX_BYTES} bytes; a template is much smaller",
            where=url,
            hint=f"save {PAGE_URL.format(version=version)} and name the file with --template",
        )
    return content
