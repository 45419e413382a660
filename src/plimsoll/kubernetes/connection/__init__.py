"""A connection to an API server as a kubeconfig wants it: proxy, certificates, credentials, and in whose name.

Every request passes `transport.ClusterTransport`, those of WebSockets and of logs that are followed too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.addresses import masked

if TYPE_CHECKING:
    import httpx2

    from plimsoll.kubernetes.kubeconfig.access import Access


def connect(access: Access, timeout: float) -> httpx2.Client:
    """An HTTP client whose requests go to the cluster. Raises FileError for what cannot be used of the kubeconfig."""
    import httpx2

    from plimsoll.kubernetes.connection.credentials import source_of
    from plimsoll.kubernetes.connection.transport import ClusterTransport

    try:
        transport = ClusterTransport(access, source_of(access))
        headers = {} if access.compression else {"Accept-Encoding": "identity"}
        return httpx2.Client(
            base_url=access.server, transport=transport, timeout=timeout, trust_env=False, headers=headers
        )
    except httpx2.InvalidURL as error:
        hint = "write addresses as https://HOST:PORT"
        raise FileError(f"the server or its proxy is no address: {error}", where=access.where, hint=hint) from None


def problem_of(access: Access, error: Exception) -> tuple[str, str, bool]:
    """Why there is no answer, what to do, and whether trying again may help."""
    import ssl

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            where = access.authorities_where or access.where
            hint = f"see certificate-authority and tls-server-name of the cluster '{access.cluster}', {where}"
            return f"the certificate of {access.server} is not accepted: {cause.verify_message}", hint, False
        cause = cause.__cause__ or cause.__context__
    if access.proxy is not None:
        hint = f"the proxy is that of the cluster '{access.cluster}', or of HTTPS_PROXY"
        return f"{access.server} does not answer through the proxy {masked(access.proxy)}: {error!r}", hint, True
    return f"{access.server} does not answer: {error!r}", "", True
