"""What asking callers and an audit log cost a service of a tabular model, against the same server without them."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks import containment, encryption, erasure, serving_models
from benchmarks.measuring import verdict
from benchmarks.servers import json_request, ours
from plimsoll.runtime.server.identities.token_file import create

ROUNDS = 7
MODELS = 10
"""That have been trained on rows of the person who is erased."""
LIMIT = 95.0
"""Percent of the requests for each second of processor time that stay."""
ISSUER, AUDIENCE = "https://issuer.example", "models"


def main(arguments: list[str]) -> bool:
    """Measure each in alternating rounds."""
    parser = argparse.ArgumentParser(prog="benchmarks trust")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of three seconds")
    parser.add_argument("--erase", action="store_true", help="in place of these: how long it takes to erase a person")
    parser.add_argument("--rows", type=int, default=1_000_000, help="with --erase: rows of the table")
    parser.add_argument("--encrypt", action="store_true", help="in place of these: what encryption at rest costs")
    parser.add_argument("--contain", action="store_true", help="in place of these: how long a quarantine takes")
    asked = parser.parse_args(arguments)
    if asked.contain:
        return containment.measure(asked.rounds)
    if asked.erase:
        return erasure.measure(asked.rows, MODELS)
    if asked.encrypt:
        return encryption.measure(asked.rounds)
    rounds = asked.rounds
    print("trust: tabular 1×20, JSON, 32 connections, one worker, alternating rounds")
    with tempfile.TemporaryDirectory() as name:
        return _measured(Path(name), rounds)


def _measured(directory: Path, rounds: int) -> bool:
    model = serving_models.tabular(directory / "tabular.onnx")
    plain = json_request([round(0.1 * n, 1) for n in range(serving_models.COLUMNS)])
    token = create(directory / "tokens.json", "shop", ("infer",), None)
    signed, keys = _issued(directory)
    watch = json.dumps({"audit_log": str(directory / "audit.jsonl")})
    ways = {
        "nothing": (plain, ()),
        "tokens": (_as(plain, token), ("--auth", json.dumps({"tokens": str(directory / "tokens.json")}))),
        "JWT": (
            _as(plain, signed),
            ("--auth", json.dumps({"jwt": {"issuer": ISSUER, "audience": AUDIENCE, "jwks": str(keys)}})),
        ),
        "audit": (plain, ("--observer", f"plimsoll.telemetry.service:watch={watch}")),
    }
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(ours(directory, model, *more)) for name, (_, more) in ways.items()}
        for name, running in servers.items():
            running.until_live()
            running.load(ways[name][0], 32, 1)
        seen: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, running in servers.items():
                seen[name].append(running.load(ways[name][0], 32, 3).per_cpu)
    for name, each in seen.items():
        print(f"    {name:8} {median(each):8.0f} requests per second of processor time")
    kept = []
    for name in ("tokens", "JWT", "audit"):
        # Rounds are compared in pairs: what else the machine does changes from round to round.
        share = median(100 * one / other for one, other in zip(seen[name], seen["nothing"], strict=True))
        kept.append(verdict(f"requests that stay with {name}", share, LIMIT, "%", at_least=True))
    return all(kept)


def _as(request: bytes, token: str) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n" + body


def _issued(directory: Path) -> tuple[str, Path]:
    """A token of an issuer, and the file of its keys."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": "1", "use": "sig"}
    file = directory / "keys.json"
    file.write_text(json.dumps({"keys": [public]}))
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "shop", "exp": int(time.time()) + 3600, "roles": ["infer"]}
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "1"}), file
