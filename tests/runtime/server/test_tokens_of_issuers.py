"""JSON Web Tokens: good ones, forged ones, keys that change, and issuers that do not answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.callers import KeysNeeded
from plimsoll.runtime.server.identities.issuer_keys import AGAIN, EVERY, IssuerKeys, Key, keys_in
from plimsoll.runtime.server.identities.json_web_tokens import MOST_KNOWN, JwtBearers, jwt_bearers, roles_in
from plimsoll.runtime.server.identities.settings import JwtSettings
from plimsoll.runtime.server.refusals import NotReady, Refusal, Unauthenticated

ISSUER, AUDIENCE = "https://login.example", "models"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str, **more: str) -> dict[str, Any]:
    names: dict[str, Any] = {
        "RS": jwt.algorithms.RSAAlgorithm,
        "EC": jwt.algorithms.ECAlgorithm,
        "ED": jwt.algorithms.OKPAlgorithm,
    }
    kind = "RS" if hasattr(key, "decrypt") else "EC" if hasattr(key, "curve") else "ED"
    return {**json.loads(names[kind].to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


SET = {"keys": [jwk(RSA, "r"), jwk(CURVE, "c"), jwk(EDWARDS, "e")]}


def claims(**changed: object) -> dict[str, Any]:
    now = int(time.time())
    whole = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 600, "roles": ["infer"], **changed}
    return {name: value for name, value in whole.items() if value is not None}


def signed(key: Any = CURVE, algorithm: str = "ES256", kid: str | None = "c", **changed: object) -> str:
    # The library's own way refuses to make what an attacker would.
    body = json.dumps(claims(**changed)).encode()
    return jwt.PyJWS().encode(body, key, algorithm, headers={"kid": kid} if kid is not None else None)


@pytest.fixture(scope="module")
def bearers(tmp_path_factory: pytest.TempPathFactory) -> JwtBearers:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps(SET))
    return jwt_bearers(JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks=str(path)))


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], body: object, secret: bytes | None = None) -> str:
    """A token with any header, signed with a secret, or with nothing."""
    start = f"{part(header)}.{part(body)}"
    return f"{start}.{part(hmac.digest(secret, start.encode(), hashlib.sha256)) if secret is not None else ''}"


def pem(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def resigned(token: str, **changed: object) -> str:
    head, body, signature = token.split(".")
    there = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{head}.{part({**there, **changed})}.{signature}"


FORGED: dict[str, Callable[[], str]] = {
    "no signature, by the word none": lambda: by_hand({"alg": "none", "kid": "c"}, claims()),
    "none in capitals": lambda: by_hand({"alg": "None", "kid": "c"}, claims()),
    "none with a signature": lambda: by_hand({"alg": "none", "kid": "c"}, claims(), b"x"),
    "no algorithm": lambda: by_hand({"kid": "c"}, claims(), b"x"),
    "an algorithm that is a list": lambda: by_hand({"alg": ["ES256"], "kid": "c"}, claims(), b"x"),
    "an algorithm that is null": lambda: by_hand({"alg": None, "kid": "c"}, claims(), b"x"),
    "a public RSA key as a secret": lambda: by_hand({"alg": "HS256", "kid": "r"}, claims(), pem(RSA)),
    "a public curve key as a secret": lambda: by_hand({"alg": "HS256", "kid": "c"}, claims(), pem(CURVE)),
    "an empty secret": lambda: by_hand({"alg": "HS256", "kid": "c"}, claims(), b""),
    "an empty signature": lambda: signed().rpartition(".")[0] + ".",
    "a zero signature": lambda: signed().rpartition(".")[0] + "." + part(bytes(64)),
    "half a signature": lambda: signed()[:-40],
    "the signature of another token": lambda: signed().rpartition(".")[0] + "." + signed(sub="b").rpartition(".")[2],
    "another key under a known name": lambda: signed(OTHER),
    "another kind of key under a known name": lambda: signed(RSA, "RS256", "c"),
    "an algorithm that the key is not for": lambda: by_hand({"alg": "RS256", "kid": "c"}, claims(), b"x"),
    "an algorithm that is not allowed": lambda: signed(RSA, "RS512", "r"),
    "no name of a key": lambda: signed(OTHER, kid=None),
    "a name of a key that is a number": lambda: by_hand({"alg": "ES256", "kid": 1}, claims(), b"x"),
    "a name of a key that is a path": lambda: by_hand({"alg": "ES256", "kid": "../../dev/null"}, claims(), b""),
    "its own key in the header": lambda: jwt.encode(
        claims(), OTHER, "ES256", headers={"kid": "c", "jwk": jwk(OTHER, "c")}
    ),
    "its own address of keys in the header": lambda: jwt.encode(
        claims(), OTHER, "ES256", headers={"kid": "c", "jku": "http://127.0.0.1:1/keys"}
    ),
    "a header that must be understood": lambda: jwt.encode(
        claims(), CURVE, "ES256", headers={"kid": "c", "crit": ["exp"]}
    ),
    "a payload that is not encoded": lambda: jwt.encode(claims(), CURVE, "ES256", headers={"kid": "c", "b64": False}),
    "another issuer": lambda: signed(iss="https://login.example.evil"),
    "the issuer with a slash": lambda: signed(iss=ISSUER + "/"),
    "a list of issuers": lambda: signed(iss=[ISSUER]),
    "no issuer": lambda: signed(iss=None),
    "another audience": lambda: signed(aud="mail"),
    "no audience": lambda: signed(aud=None),
    "a part of the audience": lambda: signed(aud="model"),
    "an empty audience": lambda: signed(aud=[]),
    "no end": lambda: signed(exp=None),
    "an end in the past": lambda: signed(exp=int(time.time()) - 60),
    "an end that is a text": lambda: signed(exp="tomorrow"),
    "an end that is no number": lambda: signed(exp=float("nan")),
    "an end beyond all numbers": lambda: signed(exp=10**400),
    "a beginning in the future": lambda: signed(nbf=int(time.time()) + 600),
    "made in the future": lambda: signed(iat=int(time.time()) + 600),
    "no subject": lambda: signed(sub=None),
    "an empty subject": lambda: signed(sub=""),
    "a subject that is a number": lambda: signed(sub=7),
    "a subject of two lines": lambda: signed(sub="ada\nroot"),
    "a subject without end": lambda: signed(sub="a" * 300),
    "more roles afterwards": lambda: resigned(signed(), roles=["admin"]),
    "a later end afterwards": lambda: resigned(signed(), exp=int(time.time()) + 10**6),
    "a payload that is a list": lambda: by_hand({"alg": "ES256", "kid": "c"}, [1], b"x"),
    "a payload that is no JSON": lambda: by_hand({"alg": "ES256", "kid": "c"}, b"{", b"x"),
    "a header that is no JSON": lambda: "e30x.e30.e30",
    "a header that is a list": lambda: f"{part([])}.{part(claims())}.x",
    "lists in lists": lambda: f"{part(b'[' * 6000)}.{part(claims())}.x",
    "nothing between the dots": lambda: "..",
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_token_is_refused(bearers: JwtBearers, what: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        bearers.caller(FORGED[what]())
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA, "RS256", "r"), (RSA, "PS256", "r"), (CURVE, "ES256", "c"), (EDWARDS, "EdDSA", "e"), (CURVE, "ES256", None)],
)
def test_a_good_token_says_who_sends_it(bearers: JwtBearers, key: Any, algorithm: str, kid: str | None) -> None:
    for _ in range(2):
        caller = bearers.caller(signed(key, algorithm, kid, aud=["mail", AUDIENCE]))
        assert caller is not None
        assert (caller.name, caller.roles) == ("jwt:ada", frozenset({"infer"}))


def test_what_is_no_token_of_an_issuer_is_left_to_the_other_tokens(bearers: JwtBearers) -> None:
    assert bearers.caller("plimsoll_abc") is None


def test_a_token_that_was_good_ends_with_its_time(bearers: JwtBearers, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed(exp=int(time.time()) + 5)
    assert bearers.caller(token) is not None
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Unauthenticated, match="expired"):
        bearers.caller(token)


@pytest.mark.parametrize(
    ("found", "name", "roles"),
    [
        ({"roles": ["infer", "root"]}, "roles", {"infer"}),
        ({"scope": "openid infer metrics"}, "scope", {"infer", "metrics"}),
        ({"realm": {"roles": ["admin"]}}, "realm.roles", {"admin"}),
        ({"https://a.example/roles": ["infer"]}, "https://a.example/roles", {"infer"}),
        ({"roles": {"infer": True}}, "roles", set()),
        ({"roles": "administrator"}, "roles", set()),
        ({"roles": [["admin"]]}, "roles", set()),
        ({}, "roles", set()),
    ],
)
def test_roles_are_words_of_a_claim(found: dict[str, Any], name: str, roles: set[str]) -> None:
    assert roles_in(found, name) == roles


class Issuer:
    """An issuer with a clock of its own, which counts how often it is asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.down = 1000.0, 0, False
        self.set: dict[str, Any] = {"keys": [jwk(CURVE, "c")]}
        self.keys = IssuerKeys(self.fetch, keep=3600.0, clock=lambda: self.now)
        self.bearers = JwtBearers(JwtSettings(issuer=ISSUER, audience=AUDIENCE), self.keys)

    def fetch(self) -> tuple[Key, ...]:
        self.asked += 1
        if self.down:
            raise TargetError("the issuer does not answer", where=ISSUER)
        return keys_in(self.set, ISSUER)

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.keys.look()

    def answer(self, token: str) -> str:
        try:
            found = self.bearers.caller(token)
        except (Refusal, KeysNeeded) as refused:
            return type(refused).__name__
        return found.name if found else ""


def test_before_its_keys_are_there_an_issuer_is_told_to_be_missing() -> None:
    issuer = Issuer()
    issuer.down = True
    assert issuer.answer(signed()) == NotReady.__name__
    issuer.later(AGAIN)
    issuer.down = False
    issuer.later(AGAIN)
    assert issuer.answer(signed()) == "jwt:ada"


def test_a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_no_longer_counts() -> None:
    issuer = Issuer()
    issuer.later(0)
    assert issuer.answer(signed()) == "jwt:ada"
    issuer.set = {"keys": [jwk(OTHER, "new")]}
    issuer.now += AGAIN
    assert issuer.answer(signed(OTHER, kid="new")) == KeysNeeded.__name__
    issuer.keys._try()
    assert issuer.answer(signed(OTHER, kid="new")) == "jwt:ada"
    assert issuer.answer(signed()) == Unauthenticated.__name__


def test_unknown_keys_do_not_become_a_fetch_for_each_request() -> None:
    issuer = Issuer()
    issuer.later(0)
    for number in range(1000):
        issuer.now += 0.1
        if issuer.answer(signed(OTHER, kid=f"x{number}")) == KeysNeeded.__name__:
            issuer.keys._try()
    assert issuer.asked <= 1 + 100 / AGAIN


def test_in_an_outage_the_last_keys_stay_for_the_time_that_is_told() -> None:
    issuer = Issuer()
    issuer.later(0)
    token = signed(exp=int(time.time()) + 10**6)
    issuer.down = True
    issuer.later(EVERY)
    issuer.later(3000)
    assert issuer.answer(token) == "jwt:ada"
    issuer.later(600)
    fresh = signed(sub="bea")
    assert issuer.answer(fresh) == NotReady.__name__
    issuer.down = False
    issuer.later(AGAIN)
    assert issuer.answer(fresh) == "jwt:bea"


def test_the_memory_of_tokens_is_bounded(bearers: JwtBearers) -> None:
    for number in range(30):
        bearers.caller(signed(EDWARDS, "EdDSA", "e", sub=f"s{number}"))
    assert len(bearers._known) <= MOST_KNOWN
    assert all(isinstance(each, bytes) and len(each) == 32 for each in bearers._known)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "c", "alg": "HS256"}]},
        {"keys": [{"kty": "EC"}]},
        {"keys": [{**jwk(CURVE, "c"), "use": "enc"}]},
        {"keys": [{**jwk(CURVE, "c"), "key_ops": ["sign"]}]},
        {"keys": [{**jwk(CURVE, "c"), "alg": "HS256"}]},
        {"keys": [{**jwk(CURVE, "c"), "x": "AA"}]},
        {"keys": [jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "weak")]},
        {"keys": [jwk(CURVE, "c")] * 65},
    ],
)
def test_a_set_without_a_usable_public_key_is_refused(document: object) -> None:
    with pytest.raises(TargetError):
        keys_in(document, ISSUER)


def test_a_file_of_keys_is_read_again_and_a_broken_one_keeps_the_last(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk(CURVE, "c")]}))
    found = jwt_bearers(JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks=str(path)))
    assert found.caller(signed()) is not None
    path.write_text("{")
    found.look()
    assert found.caller(signed()) is not None
    path.write_text(json.dumps({"keys": [jwk(OTHER, "new")]}))
    found.look()
    with pytest.raises(Unauthenticated):
        found.caller(signed())
    assert found.caller(signed(OTHER, kid="new")) is not None
