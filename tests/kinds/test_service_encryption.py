"""The encryption of a service, as the file says it: what could not open a connection is told with its place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from plimsoll.errors import FileError
from plimsoll.kinds.service import SERVICES
from plimsoll.kinds.service_callers import settings_of, tls_of
from plimsoll.kinds.table import KINDS
from plimsoll.runtime.server.identities.certificates import names_of
from tests.authority import NOW, Authority

HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  models:
    m: {train: {run: python train.py}}
  services:
"""
FILES = "certificate: server.crt, key: server.key"
CLIENTS = f"tls: {{{FILES}, clients: bank.pem}}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("files"), "bank")
    made.issue("server", "models.bank", client=False)
    made.issue("another", "models.bank", client=False)
    made.issue("old", client=False, ends=NOW - timedelta(days=1), begins=NOW - timedelta(days=2))
    made.revoke(made.directory / "revoked.pem")
    made.revoke(made.directory / "stale.pem", ends=NOW - timedelta(hours=1))
    Authority(made.directory / "sub", "elsewhere").revoke(made.directory / "foreign.pem")
    key = load_pem_private_key((made.directory / "server.key").read_bytes(), None)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (made.directory / "encrypted.key").write_bytes(secret)
    (made.directory / "open.key").write_bytes((made.directory / "server.key").read_bytes())
    (made.directory / "encrypted.key").chmod(0o600)
    (made.directory / "open.key").chmod(0o644)
    (made.directory / "train.py").write_text("")
    return made


def checked(authority: Authority, service: str) -> Path:
    path = authority.directory / "plimsoll.yaml"
    path.write_text(f"{HEAD}    a: {{model: m, {service}}}\n")
    KINDS.check(KINDS.load(path), "local")
    return path


@pytest.mark.parametrize(
    "service",
    [
        f"tls: {{{FILES}}}",
        CLIENTS,
        f"host: 0.0.0.0, {CLIENTS}",
        f"host: 0.0.0.0, auth: none, tls: {{{FILES}}}",
        f"tls: {{{FILES}, clients: bank.pem, revoked: revoked.pem}}",
        f"auth: {{certificates: {{'spiffe://bank/shop': [infer, feedback]}}, limits: {{rate: 5}}}}, {CLIENTS}",
    ],
)
def test_a_service_may_be_encrypted(authority: Authority, service: str) -> None:
    checked(authority, service)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ("tls: {certificate: server.crt}", "key"),
        ("tls: {certificate: serve.crt, key: server.key}", "did you mean 'server.crt'"),
        ("tls: {certificate: train.py, key: server.key}", "this is no certificate"),
        ("tls: {certificate: server.crt, key: another.key}", "this is not the key of server.crt"),
        ("tls: {certificate: server.crt, key: server.crt}", "this is no private key"),
        ("tls: {certificate: server.crt, key: encrypted.key}", "a server cannot ask for a passphrase"),
        ("tls: {certificate: server.crt, key: open.key}", "chmod o="),
        ("tls: {certificate: old.crt, key: old.key}", "the certificate has ended on"),
        (f"tls: {{{FILES}, clients: server.key}}", "this is no certificate of an authority"),
        (f"tls: {{{FILES}, revoked: revoked.pem}}", "name their authority"),
        (f"tls: {{{FILES}, clients: bank.pem, revoked: bank.pem}}", "this is no list of revoked certificates"),
        (f"tls: {{{FILES}, clients: bank.pem, revoked: foreign.pem}}", "no authority in clients has signed the list"),
        (f"tls: {{{FILES}, clients: bank.pem, revoked: stale.pem}}", "have the authority give a new one"),
        (f"host: 0.0.0.0, tls: {{{FILES}}}", "host 0.0.0.0 lets other machines ask"),
        (f"auth: none, {CLIENTS}", "callers show certificates"),
        (f"auth: {{certificates: {{shop: [infer]}}}}, tls: {{{FILES}}}", "knows no authority of theirs"),
        (f"auth: {{certificates: {{shop: [infers]}}}}, {CLIENTS}", "infers"),
        (f"auth: {{certificates: {{shop: []}}}}, {CLIENTS}", "a list of at least 1"),
    ],
)
def test_a_mistake_is_told_with_its_place(authority: Authority, service: str, words: str) -> None:
    with pytest.raises(FileError) as raised:
        checked(authority, service)
    assert ":8:" in raised.value.where
    assert words in str(raised.value) + raised.value.hint


def test_the_server_is_told_of_the_files_and_of_roles_by_name(authority: Authority) -> None:
    path = checked(authority, f"auth: {{certificates: {{shop: [infer]}}}}, {CLIENTS}")
    service = SERVICES.of(KINDS.load(path).application)["a"]
    settings, tls = settings_of(service), tls_of(service)
    assert settings is not None
    assert tls is not None
    assert settings.certificates == {"shop": ("infer",)}
    assert (tls.certificate, tls.key, tls.clients, tls.revoked) == ("server.crt", "server.key", "bank.pem", "")


@pytest.mark.parametrize(
    ("common", "alternatives", "names"),
    [
        ("shop", (), ("shop",)),
        (
            "shop",
            ("spiffe://bank/till", "till.bank", "ada@bank.example"),
            ("spiffe://bank/till", "till.bank", "ada@bank.example"),
        ),
        ("shop", ("10.0.0.7",), ()),
        ("shop\nadmin", (), ()),
        ("shop\u202e", (), ()),
    ],
)
def test_the_names_of_a_caller_are_the_alternative_ones_and_the_common_name_without_any(
    authority: Authority, common: str, alternatives: tuple[str, ...], names: tuple[str, ...]
) -> None:
    certificate, _ = authority.issue(common, *alternatives)
    assert names_of(x509.load_pem_x509_certificate(certificate.read_bytes())) == names
