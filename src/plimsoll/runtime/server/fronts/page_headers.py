"""What keeps a page of the server to its own style and script, whatever stands in its text."""

from __future__ import annotations

import base64
import hashlib


def policy_of(style: str, script: str) -> str:
    """The content security policy of a page with this style and this script, which asks this server alone."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def page_headers(policy: str) -> bytes:
    """The headers of a page, which is also there in other forms."""
    return (
        f"content-security-policy: {policy}\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
        "vary: accept\r\n"
    ).encode()


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
