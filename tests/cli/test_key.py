"""`plimsoll key` and `plimsoll audit log` as their users meet them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from plimsoll.cli.verbs import audit, key
from plimsoll.cli.verbs import models as model_verb
from plimsoll.errors import ModelRefused, PlimsollError
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.signing.dsse import sign
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.private_keys import PASSWORD

from .conftest import ENVIRONMENT, Plimsoll, answer, write

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.chdir(tmp_path)
    ring = KeyRing.default()
    sign("triage@1", DIGEST, {}, ring)
    return ring


def call(*arguments: str, verb: Any = key.command) -> Result:
    return CliRunner().invoke(verb, arguments, catch_exceptions=True, standalone_mode=False)


def said(*arguments: str, verb: Any = key.command) -> str:
    result = call(*arguments, verb=verb)
    if result.exception is not None:
        raise result.exception
    return result.output


def refused(*arguments: str, verb: Any = key.command) -> str:
    error = call(*arguments, verb=verb).exception
    assert isinstance(error, PlimsollError), error
    return str(error)


def test_show_says_how_the_key_is_kept_and_what_a_step_could_do_with_it(keys: KeyRing) -> None:
    shown = said("show")

    assert shown.startswith(f"{keys.own_id()[:16]}  ed25519  signing")
    assert f"a file of its owner alone, {keys.private}" in shown
    assert "a step without isolation is a process of yours and can read it" in shown
    keys.private.chmod(0o640)
    assert "others may read its file (mode 0640): chmod 600" in said("show")


def test_a_rotation_signs_the_versions_of_the_application_anew(keys: KeyRing, tmp_path: Path) -> None:
    write(tmp_path, "  datasets: {}\n")
    models = ModelRegistry(tmp_path / ".plimsoll" / "registry", keys)
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    old = keys.own_id()

    told = json.loads(said("rotate", "--json", "--days", "90"))
    assert told["signed"] == ["triage@1"]
    assert told["key"] == keys.own_id() != old
    assert keys.conditions(old).retired is not None
    assert keys.conditions(keys.own_id()).expires is not None
    (keys.trusted / f"{old}.json").unlink()
    assert ModelRegistry(models.layout.root, keys).open(version).signed_by == keys.own_id()


def test_an_expired_key_is_rotated_and_what_it_signed_counts_again(keys: KeyRing, tmp_path: Path) -> None:
    write(tmp_path, "  datasets: {}\n")
    models = ModelRegistry(tmp_path / ".plimsoll" / "registry", keys)
    (tmp_path / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key="k")
    version = models.add("triage", {"model.onnx": tmp_path / "model.onnx"}, lineage=lineage, metrics={}, accept={})
    said("limit", keys.own_id(), "--expires", "2020-01-01")
    with pytest.raises(ModelRefused, match="expired on 2020-01-01"):
        models.open(version)

    assert json.loads(said("rotate", "--json"))["signed"] == ["triage@1"]
    assert models.find("triage").version == models.open(version).version.version == 1


def test_a_second_rotation_a_limit_and_a_revocation_are_shown(keys: KeyRing) -> None:
    first = keys.own_id()
    assert "1 statements of the key" in said("rotate")
    second = keys.own_id()
    said("rotate", "--algorithm", "ecdsa")
    assert "plimsoll key trust" in said("revoke", first[:12], "--reason", "compromised", "--note", "laptop stolen")
    assert said("limit", second[:12], "--scope", "models:triage*", "--days", "400").startswith(
        f"{second[:16]}  for models:triage*"
    )

    rows = {each["key"]: each for each in json.loads(said("show", "--json"))["keys"]}
    assert [rows[each]["state"] for each in (first, second, keys.own_id())] == ["revoked", "retired", "signing"]
    assert "laptop stolen" in rows[first]["told"]
    assert rows[keys.own_id()]["kind"] == "ecdsa"
    assert said("show", "--pem").startswith("-----BEGIN PUBLIC KEY-----")
    assert said("limit", second[:12], "--everything", "--never").startswith(f"{second[:16]}  for everything")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("revoke", "ffffffff"), "there is no key 'ffffffff' here"),
        (("revoke", ""), "there is no key"),
        (("limit", "OWN", "--scope", "model:x"), "'model:x' is no scope: its kind is none of models, registry"),
        (("limit", "OWN", "--expires", "soon"), "'soon' is no date"),
        (("revoke", "OWN"), "signs here"),
        (("trust", "missing.json"), "the file cannot be read: No such file"),
        (("rotate", "--import", "missing.pem"), "the key cannot be read: No such file"),
        (("rotate", "--encrypt"), "there is no terminal to ask for it"),
        (("rotate", "--bundle", "missing"), "there is no such bundle"),
        (("use", "--holder", "nobody"), "does not run"),
        (("hold", "--allow", "no-such-user"), "there is no user 'no-such-user'"),
    ],
)
def test_what_cannot_be_done_is_said(keys: KeyRing, arguments: tuple[str, ...], message: str) -> None:
    before = keys.own_id()
    assert message in refused(*(before if each == "OWN" else each for each in arguments))
    assert keys.own_id() == before


def test_too_few_digits_name_no_key(keys: KeyRing) -> None:
    assert "too short for a key" in refused("limit", keys.own_id()[:4], "--never")


def test_a_key_of_openssl_is_signed_with_and_encrypted(
    keys: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plimsoll.signing import private_keys

    made = private_keys.generate("ecdsa")
    (tmp_path / "own.pem").write_bytes(private_keys.encoded(made, b"secret"))
    (tmp_path / "own.pem").chmod(0o600)
    (tmp_path / "password").write_text("another\n")
    monkeypatch.setenv(PASSWORD, "secret")
    said("rotate", "--import", "own.pem")
    assert keys.own_id() == made.public_key.keyid

    monkeypatch.delenv(PASSWORD)
    said("encrypt", "--password-file", "password")
    assert b"ENCRYPTED" in keys.private.read_bytes()
    assert "is encrypted already" in refused("encrypt", "--password-file", "password")
    assert '"how":"encrypted"' in said("show", "--json")
    said("decrypt", "--password-file", "password")
    sign("triage@2", DIGEST, {}, keys)


def test_what_was_signed_is_listed_verified_and_proved(keys: KeyRing, tmp_path: Path) -> None:
    def log(*arguments: str) -> str:
        return said("log", *arguments, verb=audit.command)

    assert "models    triage@1  plimsoll.dev/model/v1" in log()
    verified = log("--verify", "--witness", "elsewhere/heads")
    head = verified.splitlines()[-1].removeprefix("head ")
    assert verified.startswith("2 entries are whole, and begins with what 1 noted heads have")
    sign("triage@2", DIGEST, {}, keys)
    assert "3 entries are whole" in log("--expect", head, "--witness", "elsewhere/heads")
    (tmp_path / "proof.json").write_text(log("--prove", "triage@2"))
    assert "entry 2 is in the log" in log("--check", "proof.json")
    (tmp_path / "grown.json").write_text(log("--since", "2"))
    assert "began with the 2 that were noted" in log("--check", "grown.json", "--expect", head)
    assert "is no head of a log" in refused("log", "--expect", "x", verb=audit.command)

    assert keys.log is not None
    keys.log.entries.write_bytes(keys.log.entries.read_bytes().replace(b"triage@1", b"triage@7"))
    result = call("log", "--verify", verb=audit.command)
    assert (result.return_value, result.output.startswith(f"changed: {keys.log.entries}:3: ")) == (1, True)
    assert "proves nothing" in refused("log", "--prove", "1", verb=audit.command)


@pytest.mark.slow
def test_a_holder_signs_until_it_is_interrupted(keys: KeyRing, tmp_path: Path, plimsoll: Plimsoll) -> None:
    (tmp_path / "password").write_text("secret\n")
    said("encrypt", "--password-file", "password")
    command = [sys.executable, "-m", "plimsoll", "key", "hold", "--password-file", "password"]
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"]}
    holder = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith(f"holding the key {keys.own_id()[:16]}")
        sign("triage@2", DIGEST, {}, keys)
        assert answer(plimsoll("key", "show", "--json"))["kept"]["how"] == "held"
        assert "held by another process" in plimsoll("key", "rotate").stderr
    finally:
        holder.send_signal(signal.SIGINT)
        holder.communicate(timeout=20)
    assert holder.returncode == 0
    assert not keys.holder_file.exists()
    assert not (keys.directory / "holder.sock").exists()
    missing = plimsoll("models", "--accept-index")
    assert missing.returncode != 0
    assert "Traceback" not in missing.stderr


def test_what_no_log_has_of_a_rotated_key_counts_after_it_was_vouched_for(keys: KeyRing, tmp_path: Path) -> None:
    from plimsoll.evidence.bundle import check_seal, seal

    old, bundle = keys.own_id(), tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "record.json").write_text("{}")
    seal(bundle, {"profile": "x"}, keys)
    shutil.rmtree(keys.directory / "log")
    assert "was not rotated away" in refused("vouch", old)
    said("rotate")
    assert "none of what it had signed by then" in str(check_seal(bundle, keys).problems)

    assert said("vouch", old[:12], "--bundle", "bundle").startswith("1 more statements")
    assert check_seal(bundle, keys).problems == ()
    said("revoke", old)
    assert "is revoked" in refused("vouch", old, "--bundle", "bundle")


def test_a_version_is_signed_and_verified_in_the_format_of_the_openssf(keys: KeyRing, tmp_path: Path) -> None:
    write(tmp_path, "  datasets: {}\n")
    models = ModelRegistry(tmp_path / ".plimsoll" / "registry", keys)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.onnx").write_bytes(b"weights")
    lineage = Lineage(run="r", step="train/triage", key="k")
    given = {"model.onnx": tmp_path / "files" / "model.onnx"}
    models.add("triage", given, lineage=lineage, metrics={}, accept={})

    def called(*arguments: str) -> str:
        return said(*arguments, verb=model_verb.command)

    assert "signed with the key" in called("triage@1", "--openssf", "model.sig")
    assert "has the 1 files" in called("triage@1", "--check-openssf", "model.sig")
    assert "has the 1 files" in called("files", "--check-openssf", "model.sig")
    (tmp_path / "files" / "model.onnx").write_bytes(b"Weights")
    assert "model.onnx was altered" in refused("files", "--check-openssf", "model.sig", verb=model_verb.command)
    assert "cannot be read" in refused("files", "--check-openssf", "none.sig", verb=model_verb.command)
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused("files", "--check-openssf", "pipe", verb=model_verb.command)
    assert "no regular file" in refused("trust", "pipe")


def test_what_two_processes_change_at_once_is_all_kept(keys: KeyRing, tmp_path: Path) -> None:
    """Each of them reads and writes the same file: a revocation must not be lost to a limit, nor one digest to another."""
    other = KeyRing(tmp_path / "other")
    other.signer()
    (keys.trusted / f"{other.own_id()}.json").write_bytes((other.trusted / f"{other.own_id()}.json").read_bytes())
    change = (
        "import sys; from msgspec.structs import replace; from plimsoll.signing.keys import KeyRing; import time\n"
        "def slow(before):\n"
        "    time.sleep(0.05)\n"
        "    return replace(before, scopes=(*before.scopes, f'models:{sys.argv[2]}'))\n"
        "KeyRing.default().change_conditions(sys.argv[1], slow)\n"
    )
    environment = {**os.environ, **ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    running = [
        subprocess.Popen([sys.executable, "-c", change, other.own_id(), str(number)], env=environment)
        for number in range(4)
    ]
    said("revoke", other.own_id()[:16], "--reason", "compromised")
    assert [each.wait(60) for each in running] == [0] * 4

    found = keys.conditions(other.own_id())
    assert found.revoked is not None
    assert sorted(found.scopes) == [f"models:{number}" for number in range(4)]
