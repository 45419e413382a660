"""A service with a certificate, from its file to a caller who shows hers, through the command as a user runs it."""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path

import httpx
import pytest

from plimsoll.runtime.server.identities import token_file
from tests.authority import Authority

from .conftest import Plimsoll, answer, write

SERVICE = f"""\
  services:
    double:
      run: {sys.executable} serve.py
      inputs: {{x: {{datatype: FP64, shape: [-1]}}}}
      tls: {{certificate: ca/server.crt, key: ca/server.key, clients: ca/bank.pem}}
      auth:
        tokens: tokens.json
        certificates: {{"spiffe://bank/till": [infer]}}
"""
ASKED = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [1, 2]}]}


@pytest.mark.slow
def test_a_service_with_a_certificate_is_kept_up_and_called_by_who_is_known(tmp_path: Path, plimsoll: Plimsoll) -> None:
    authority = Authority(tmp_path / "ca", "bank")
    authority.issue("server", "models.bank", "127.0.0.1", client=False)
    till = authority.issue("till", "spiffe://bank/till")
    token = token_file.create(tmp_path / "tokens.json", "ada", ("infer",), None)
    write(tmp_path, SERVICE, serve_py="def predict(inputs):\n    return {'y': inputs['x'] * 2}\n")
    assert "known ones, by certificates and tokens of its file" in json.dumps(answer(plimsoll("plan", "--json")))
    up = plimsoll("up", "--json")
    try:
        assert up.returncode == 0, up.stderr
        url = answer(up)["services"]["double"]["url"]
        assert url.startswith("https://127.0.0.1:")

        (tmp_path / "asked.json").write_text(json.dumps(ASKED))
        refused = plimsoll("predict", "double", "--input", "asked.json", "--json")
        assert (refused.returncode != 0, "status 401" in refused.stdout + refused.stderr) == (True, True)
        answered = answer(plimsoll("predict", "double", "--input", "asked.json", "--json", PLIMSOLL_TOKEN=token))
        assert answered["outputs"][0]["data"] == [2.0, 4.0]

        context = ssl.create_default_context(cafile=str(authority.path))
        context.load_cert_chain(*till)
        seen = httpx.post(f"{url}/v2/models/double/infer", json=ASKED, verify=context, timeout=30)
        assert (seen.status_code, seen.json()["outputs"][0]["data"]) == (200, [2.0, 4.0])
    finally:
        plimsoll("down")
