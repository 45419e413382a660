"""Sends requests with credentials, in the name and by the way that a kubeconfig says."""

from __future__ import annotations

import string
import threading
from urllib.parse import quote

import httpx2

from plimsoll.kubernetes.connection.credentials import Credential, Source
from plimsoll.kubernetes.connection.tls import proxy_context, server_context
from plimsoll.kubernetes.kubeconfig.access import Access, Certificate, Impersonation

_TOKEN = string.ascii_letters + string.digits + "!#$&'*+-.^_`|~"
"""What the name of a header may have (RFC 9110), but the percent sign, by which the rest is written."""


class ClusterTransport(httpx2.BaseTransport):
    """One cluster's. A request that is refused for its credentials (401) is sent once more with new ones, if any."""

    def __init__(self, access: Access, source: Source) -> None:
        self._access = access
        self._source = source
        self._headers = impersonation_headers(access.impersonation) if access.impersonation else []
        self._lock = threading.Lock()
        self._certificate = access.certificate
        self._transport = self._open(access.certificate)
        self._earlier: list[httpx2.HTTPTransport] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Raises CredentialError, and the errors of httpx2."""
        asked = request.headers
        if self._access.tls_server_name:
            request.extensions["sni_hostname"] = self._access.tls_server_name
        credential = self._source.current()
        answer = self._send(request, asked, credential)
        if answer.status_code != 401:
            return answer
        renewed = self._source.renewed(credential)
        if renewed is None:
            return answer
        answer.close()
        return self._send(request, asked, renewed)

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            for each in (self._transport, *self._earlier):
                each.close()

    def _send(self, request: httpx2.Request, asked: httpx2.Headers, credential: Credential) -> httpx2.Response:
        own = [*self._headers]
        if credential.authorization:
            own.append((b"Authorization", credential.authorization.encode()))
        # What the caller says for this one request comes first.
        request.headers = httpx2.Headers([*asked.raw, *(each for each in own if each[0].decode() not in asked)])
        return self._way(credential.certificate).handle_request(request)

    def _way(self, certificate: Certificate | None) -> httpx2.HTTPTransport:
        with self._lock:
            if certificate != self._certificate:
                # Connections that are open were made with the certificate before; requests on them come to their end.
                self._earlier.append(self._transport)
                self._transport, self._certificate = self._open(certificate), certificate
            return self._transport

    def _open(self, certificate: Certificate | None) -> httpx2.HTTPTransport:
        access = self._access
        proxy = None
        if access.proxy is not None:
            secure = access.proxy.startswith("https:")
            proxy = httpx2.Proxy(access.proxy, ssl_context=proxy_context(access) if secure else None)
        return httpx2.HTTPTransport(verify=server_context(access, certificate), proxy=proxy)


def impersonation_headers(impersonation: Impersonation) -> list[tuple[bytes, bytes]]:
    """The headers by which requests are made in another's name. Source: Kubernetes, user impersonation."""
    found = [("Impersonate-User", impersonation.user)]
    if impersonation.uid:
        found.append(("Impersonate-Uid", impersonation.uid))
    found += [("Impersonate-Group", group) for group in impersonation.groups]
    for key, values in impersonation.extra.items():
        found += [(f"Impersonate-Extra-{quote(key, safe=_TOKEN)}", value) for value in values]
    return [(name.encode(), value.encode()) for name, value in found]
