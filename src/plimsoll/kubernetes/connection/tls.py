"""What a server's certificate is checked against, and the certificate that is shown to it."""

from __future__ import annotations

import re
import ssl
import tempfile
from pathlib import Path

from plimsoll.errors import FileError
from plimsoll.kubernetes.kubeconfig.access import Access, Certificate

_CERTIFICATE = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)


def server_context(access: Access, certificate: Certificate | None) -> ssl.SSLContext:
    """TLS to the API server. Raises FileError for certificates and keys that cannot be used."""
    context = _trust(access)
    if certificate is not None:
        _show(context, certificate)
    return context


def proxy_context(access: Access) -> ssl.SSLContext:
    """TLS to a proxy: the system's authorities and the cluster's count; our own certificate is not shown to it."""
    context = _trust(access)
    if access.authorities is not None and not access.insecure:
        context.load_default_certs()
    return context


def _trust(access: Access) -> ssl.SSLContext:
    import httpx2

    if access.insecure:
        return httpx2.create_ssl_context(verify=False)
    if access.authorities is None:
        return httpx2.create_ssl_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # What is named is trusted as it is, as Go does: an authority in the middle of a chain, and one of the many clusters
    # whose authority lacks what Python 3.13 demands of one.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    found = _CERTIFICATE.findall(access.authorities)
    try:
        context.load_verify_locations(cadata="\n".join(found).encode("ascii", "replace").decode())
    except (ssl.SSLError, ValueError) as error:
        reason = "it has no certificate in PEM" if not found else str(error)
        told = f"the certificate-authority of the cluster '{access.cluster}' cannot be used: {reason}"
        raise FileError(told, where=access.authorities_where, hint="have the kubeconfig written anew") from None
    return context


def _show(context: ssl.SSLContext, certificate: Certificate) -> None:
    problem = "this client certificate and its key cannot be used"
    if "ENCRYPTED" in certificate.key:
        hint = "write the key without a password: openssl pkey -in KEY -out KEY"
        raise FileError(f"{problem}: the key has a password", where=certificate.where, hint=hint)
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as directory:
        # The library reads files alone. The directory can be entered by its user alone.
        chain, key = Path(directory, "chain.pem"), Path(directory, "key.pem")
        chain.write_text(certificate.chain, encoding="utf-8")
        key.write_text(certificate.key, encoding="utf-8")
        try:
            context.load_cert_chain(chain, key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error)
            told = f"{problem}: {str(reason).lower().replace('_', ' ')}"
            raise FileError(told, where=certificate.where, hint="have the credentials written anew") from None
