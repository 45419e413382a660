"""`spec.encryption`: what is kept lies in sealed files alone, also after a kill, and steps read plain ones."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from plimsoll.vault import header
from plimsoll.vault.places import PlainPlace
from plimsoll.vault.sealer import Order

from .conftest import ENVIRONMENT, Plimsoll, answer, write

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MARK = "holder-4711"
SPEC = """\
  encryption: {key: {file: ../the.key}}
  datasets:
    people: {source: people.csv}
    features: {run: PYTHON prepare.py, inputs: [people], outputs: [rows.csv]}
"""
TRAINED = """\
  models:
    m:
      train: {run: PYTHON train.py, inputs: [features]}
"""
PREPARE = """\
import os, pathlib
rows = pathlib.Path(os.environ["PLIMSOLL_INPUT_PEOPLE"]).read_text()
print("prepared", rows, sorted(name for name in os.environ if name.startswith("PLIMSOLL_")))
(pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "rows.csv").write_text(rows)
"""
TRAIN = """\
import os, pathlib, time
rows = (pathlib.Path(os.environ["PLIMSOLL_INPUT_FEATURES"]) / "rows.csv").read_text()
kept = pathlib.Path(os.environ["PLIMSOLL_CHECKPOINT"]) / "state.txt"
print("began with a checkpoint" if kept.exists() else "began anew")
slow = not kept.exists() and pathlib.Path("slow").exists()
kept.write_text(rows)
(pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "half").write_text(rows)
while slow:
    time.sleep(0.05)
(pathlib.Path(os.environ["PLIMSOLL_OUTPUT"]) / "model.onnx").write_text(kept.read_text())
"""
KMS = """\
import base64, pathlib, sys
content = base64.b64decode(sys.stdin.read())
pathlib.Path("../asked").open("a").write(sys.argv[1] + "\\n")
print(base64.b64encode(bytes(byte ^ 0x5A for byte in content)).decode())
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Path]:
    """An application with a key beside its directory; nothing of it is in memory afterwards."""
    directory = tmp_path / "app"
    directory.mkdir()
    spec = SPEC.replace("PYTHON", sys.executable)
    write(directory, spec, prepare_py=PREPARE, train_py=TRAIN)
    (directory / "people.csv").write_text(f"card,amount\n{MARK},1\n")
    make_key(tmp_path / "the.key")
    yield directory
    await_closed(directory)


@pytest.fixture
def plimsoll(app: Path, tmp_path: Path) -> Plimsoll:
    """Runs the command in the application's directory."""

    def plimsoll(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "plimsoll", *arguments],
            cwd=app,
            env={**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config"), **environment},
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert "Traceback" not in ended.stderr + ended.stdout
        assert "defect" not in ended.stderr
        return ended

    return plimsoll


def make_key(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_text(os.urandom(32).hex())
    path.chmod(0o600)


def place(app: Path) -> PlainPlace:
    return PlainPlace(app / ".plimsoll")


def await_true(told: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 40
    while not told():
        assert time.monotonic() < until, f"waited 40 s until {what}"
        time.sleep(0.05)


def await_closed(app: Path) -> None:
    await_true(lambda: not place(app).directory.exists(), "nothing was in clear in memory")


def holding(*roots: Path) -> list[str]:
    """Files with the mark in their bytes or their name."""
    files = [path for root in roots for path in root.rglob("*")]
    return [str(path) for path in files if MARK in path.name or (path.is_file() and MARK.encode() in path.read_bytes())]


def training(app: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A run whose training takes its time."""
    with (app / "plimsoll.yaml").open("a") as file:
        file.write(TRAINED.replace("PYTHON", sys.executable))
    (app / "slow").touch()
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path / ".config")}
    return subprocess.Popen(
        [sys.executable, "-m", "plimsoll", "run"], cwd=app, env=environment, stdout=subprocess.DEVNULL
    )


def test_nothing_of_a_run_lies_on_the_disk_in_clear_and_nothing_is_run_again(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("run").returncode == 0
    await_closed(app)
    assert holding(app / ".plimsoll") == []
    names = {path.name for path in (app / ".plimsoll").iterdir()}
    assert names == {".gitignore", "sealed"}
    assert MARK in plimsoll("logs", "run/features").stdout
    assert "0 of 2 steps ran, 2 unchanged" in plimsoll("run").stdout
    exported = plimsoll("encryption", "export", "../out", "--json")
    assert answer(exported)["files"] == ["run/features/rows.csv"]
    assert MARK in (app.parent / "out/run/features/rows.csv").read_text()


def test_a_killed_run_leaves_nothing_in_clear_and_goes_on_from_its_checkpoint(
    app: Path, plimsoll: Plimsoll, tmp_path: Path
) -> None:
    run = training(app, tmp_path)
    await_true(lambda: any(place(app).state.glob("checkpoints/*/state.txt")), "the training had a checkpoint")
    await_true(lambda: any(place(app).state.glob("work/*/output/half")), "the training had half of its output")
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    await_closed(app)
    assert holding(app / ".plimsoll") == []
    (app / "slow").unlink()
    assert plimsoll("run").returncode == 0
    assert "began with a checkpoint" in plimsoll("logs", "train/m").stdout


@pytest.mark.series
def test_a_wrong_a_missing_and_an_open_key_are_one_sentence_each(app: Path, plimsoll: Plimsoll) -> None:
    key = app.parent / "the.key"
    assert plimsoll("run").returncode == 0
    whole = key.read_bytes()
    make_key(key)
    refused = plimsoll("run")
    assert refused.returncode == 1
    assert "this key does not open what is sealed: it is key" in refused.stderr
    key.write_bytes(whole)
    key.chmod(0o644)
    assert "every user of this machine may use the file of the key (mode 0644)" in plimsoll("status").stderr
    key.chmod(0o600)
    key.write_text("secret")
    assert "this is no key for encryption" in plimsoll("status").stderr
    key.unlink()
    missing = plimsoll("status")
    assert missing.returncode == 1
    assert f"error: {key}: the key cannot be read: No such file or directory" in missing.stderr
    assert holding(app / ".plimsoll") == []


@pytest.mark.series
def test_altered_sealed_files_are_named_in_one_sentence(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("run").returncode == 0
    sealed = app / ".plimsoll/sealed"
    large = max((sealed / "objects").iterdir(), key=lambda path: path.stat().st_size)
    whole = large.read_bytes()
    for content, said in (
        (whole[:-1] + bytes([whole[-1] ^ 1]), "part 1 of the sealed file was changed"),
        (whole[: len(whole) // 2], "part 1 of the sealed file was changed, cut"),
        (b"", "the sealed file is empty"),
    ):
        large.write_bytes(content)
        refused = plimsoll("status")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"error: {large} (")
        assert said in refused.stderr
    large.write_bytes(whole)
    header = sealed / "header.json"
    before = header.read_text()
    header.write_text(before.replace('"application":"tiny"', '"application":"tuny"'))
    assert "the key opens the header, and what else stands in it was altered" in plimsoll("status").stderr
    header.write_text(before)
    assert plimsoll("status").returncode == 0


def test_rotation_changes_the_key_and_no_sealed_file(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("run").returncode == 0
    objects = app / ".plimsoll/sealed/objects"
    before = {path.name: path.read_bytes() for path in objects.iterdir()}
    make_key(app.parent / "new.key")
    text = (app / "plimsoll.yaml").read_text()
    (app / "plimsoll.yaml").write_text(text.replace("../the.key", "../new.key"))
    told = plimsoll("run")
    assert told.returncode == 2
    assert "plimsoll.yaml:5:21: what is kept is encrypted under another key, that of ../the.key" in told.stderr
    assert "plimsoll encryption rotate" in told.stderr
    rotated = answer(plimsoll("encryption", "rotate", "--json"))
    assert rotated["from"] != rotated["to"]
    assert {path.name: path.read_bytes() for path in objects.iterdir()} == before
    (app.parent / "the.key").unlink()
    assert plimsoll("run").returncode == 0
    assert answer(plimsoll("encryption", "show", "--json"))["key"] == rotated["to"]


def test_what_was_in_clear_is_sealed_and_can_be_opened_for_good(app: Path, plimsoll: Plimsoll) -> None:
    text = (app / "plimsoll.yaml").read_text()
    plain = "\n".join(line for line in text.splitlines() if "encryption" not in line) + "\n"
    (app / "plimsoll.yaml").write_text(plain)
    assert plimsoll("run").returncode == 0
    assert holding(app / ".plimsoll") != []
    (app / "plimsoll.yaml").write_text(text)
    assert "unchanged" in plimsoll("run").stdout
    await_closed(app)
    assert holding(app / ".plimsoll") == []
    (app / "plimsoll.yaml").write_text(plain)
    refused = plimsoll("run")
    assert refused.returncode == 2
    assert "the file does not say under which key" in refused.stderr
    assert plimsoll("encryption", "remove").returncode == 0
    assert holding(app / ".plimsoll") != []
    assert "unchanged" in plimsoll("run").stdout
    assert answer(plimsoll("encryption", "show", "--json"))["encrypted"] is False


def test_a_command_before_a_kms_wraps_and_unwraps(app: Path, plimsoll: Plimsoll) -> None:
    (app.parent / "kms.py").write_text(KMS)
    text = (app / "plimsoll.yaml").read_text()
    command = f"{{command: [{sys.executable}, ../kms.py]}}"
    (app / "plimsoll.yaml").write_text(text.replace("{file: ../the.key}", command))
    assert plimsoll("run").returncode == 0
    assert (app.parent / "asked").read_text() == "wrap\nunwrap\n"
    assert str(app.parent) not in (app / ".plimsoll/sealed/header.json").read_text()
    # What lies on the disk cannot choose a program.
    assert "use a verb that reads the file first" in plimsoll("status").stderr
    assert "unchanged" in plimsoll("run").stdout
    (app.parent / "kms.py").write_text("import sys; sys.exit('the vault is locked')")
    refused = plimsoll("run")
    assert refused.returncode == 1
    assert "the key command ended with exit status 1: the vault is locked" in refused.stderr


@pytest.mark.series
def test_steps_do_not_see_the_key_in_a_variable(app: Path, plimsoll: Plimsoll) -> None:
    text = (app / "plimsoll.yaml").read_text()
    (app / "plimsoll.yaml").write_text(text.replace("file: ../the.key", "env: PLIMSOLL_SHOP_KEY"))
    key = base64.b64encode(os.urandom(32)).decode()
    assert plimsoll("run", PLIMSOLL_SHOP_KEY=key).returncode == 0
    logs = plimsoll("logs", "run/features", PLIMSOLL_SHOP_KEY=key).stdout
    assert "PLIMSOLL_OUTPUT" in logs
    assert "PLIMSOLL_SHOP_KEY" not in logs
    unset = plimsoll("status")
    assert unset.returncode == 1
    assert "error: PLIMSOLL_SHOP_KEY: the key's variable is not set" in unset.stderr


def test_everything_is_erased_with_its_key_and_a_certificate_says_so(
    app: Path, plimsoll: Plimsoll, tmp_path: Path
) -> None:
    assert plimsoll("run").returncode == 0
    shutil.copytree(app / ".plimsoll/sealed", tmp_path / "copy")
    assert "would be destroyed" in plimsoll("erase", "--everything", "--dry-run").stdout
    erased = answer(plimsoll("erase", "--everything", "--json"))
    assert not (app / ".plimsoll/sealed").exists()
    certificate = Path(erased["certificate"])
    verified = plimsoll("erase", "--verify", str(certificate))
    assert verified.returncode == 0
    assert "the signature is right" in verified.stdout
    # A copy of the sealed files without the header has no key in it: the key of the file opens nothing.
    shutil.copytree(tmp_path / "copy", app / ".plimsoll/sealed", ignore=shutil.ignore_patterns("header.json"))
    assert plimsoll("status").returncode != 0
    shutil.copy(tmp_path / "copy/header.json", app / ".plimsoll/sealed/header.json")
    restored = plimsoll("erase", "--verify", str(certificate))
    assert restored.returncode == 1
    assert "what the certificate calls destroyed is here again" in restored.stderr
    certificate.write_bytes(certificate.read_bytes().replace(b'"payload":"', b'"payload":"A'))
    assert plimsoll("erase", "--verify", str(certificate)).returncode != 0


def test_a_made_key_replaces_no_file(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("encryption", "key", "../made.key").returncode == 0
    made = app.parent / "made.key"
    assert made.stat().st_mode & 0o777 == 0o600
    before = made.read_bytes()
    assert "there is a file of this name already" in plimsoll("encryption", "key", "../made.key").stderr
    assert made.read_bytes() == before


@pytest.mark.series
def test_a_sealer_that_was_killed_is_replaced_and_nothing_is_lost(
    app: Path, plimsoll: Plimsoll, tmp_path: Path
) -> None:
    run = training(app, tmp_path)
    await_true(lambda: any(place(app).state.glob("work/*/output/half")), "the training had half of its output")
    lock = app / ".plimsoll/sealed/sealer.lock"
    first = holder(lock)
    os.kill(first, signal.SIGKILL)
    await_true(lambda: holder(lock) not in (0, first), "another process sealed")
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    await_closed(app)
    (app / "slow").unlink()
    assert plimsoll("run").returncode == 0
    assert "began with a checkpoint" in plimsoll("logs", "train/m").stdout


def test_what_was_opened_for_a_command_that_has_ended_is_closed(app: Path, plimsoll: Plimsoll) -> None:
    """Ctrl-C while it is opened: nobody hears any more that it is open."""
    assert plimsoll("run").returncode == 0
    await_closed(app)
    about = header.read(app / ".plimsoll")
    order = Order(state=str(app / ".plimsoll"), key=header.data_key_of(about, about.by, app))
    reading, writing = os.pipe()
    sealer = subprocess.Popen([sys.executable, "-m", "plimsoll.vault"], stdin=subprocess.PIPE, stdout=writing, cwd="/")
    os.close(reading)
    os.close(writing)
    sealer.communicate(msgspec.json.encode(order), timeout=40)
    assert sealer.returncode == 0
    assert not place(app).directory.exists()


def test_what_a_killed_sealer_had_not_sealed_is_told_and_is_there_in_clear_too(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("run").returncode == 0
    await_closed(app)
    with (app / ".plimsoll/sealed/users.lock").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        assert plimsoll("status").returncode == 0
        os.kill(holder(app / ".plimsoll/sealed/sealer.lock"), signal.SIGKILL)
        await_true(lambda: holder(app / ".plimsoll/sealed/sealer.lock") == 0, "the sealer was gone")
    (place(app).state / "written-last").write_text(MARK)
    shown = plimsoll("encryption", "show").stdout
    assert f"not sealed: plain files are left in {place(app).state}" in shown
    assert "nothing of it is in clear" not in shown
    assert plimsoll("encryption", "remove").returncode == 0
    assert (app / ".plimsoll/written-last").read_text() == MARK
    assert not place(app).directory.exists()


@pytest.mark.series
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_full_disk_is_named_and_what_was_written_is_sealed_once_there_is_room(app: Path, plimsoll: Plimsoll) -> None:
    disk = app / ".plimsoll"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts nothing")
    try:
        filler = disk / "sealed" / "filler"
        filler.parent.mkdir()
        assert plimsoll("run").returncode == 0
        await_closed(app)
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"0" * 4096):
                pass
        (app / "people.csv").write_text(f"card,amount\n{MARK},2\n" + "another,3\n" * 9000)
        full = plimsoll("run")
        assert full.returncode == 1
        assert "what was written is not sealed yet: No space left on device" in full.stderr
        assert "not sealed: No space left on device" in plimsoll("encryption", "show").stdout
        filler.unlink()
        assert plimsoll("status").returncode == 0
        await_closed(app)
        assert "2 unchanged" in plimsoll("run").stdout
        await_closed(app)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=False)


def test_what_is_kept_is_named_below_the_application_though_it_is_open_elsewhere(app: Path, plimsoll: Plimsoll) -> None:
    text = (app / "plimsoll.yaml").read_text().replace("people.csv}", "people.csv, subject: card}")
    (app / "plimsoll.yaml").write_text(text)
    ran = plimsoll("run")
    assert ran.returncode == 0
    assert "`plimsoll report --output report.html` writes it in clear" in ran.stdout
    assert plimsoll("report", "--output", "../page.html").returncode == 0
    assert "run/features" in (app.parent / "page.html").read_text()
    erased = plimsoll("erase", "--subject", MARK, "--sources")
    assert erased.returncode == 0
    assert "/dev/shm" not in erased.stdout
    assert "removed: result .plimsoll/results/" in erased.stdout
    certificate = erased.stdout.split("certificate: ")[1].strip()
    assert certificate.startswith(".plimsoll/erasures/")
    await_closed(app)
    verified = plimsoll("erase", "--verify", certificate)
    assert verified.returncode == 0
    assert "the signature is right" in verified.stdout


def holder(lock: Path) -> int:
    """The process that has a lock; 0 for none."""
    inode = f":{lock.stat().st_ino}"
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(inode) and words[3] == "WRITE":
            return int(words[4])
    return 0


@pytest.mark.series
def test_while_a_process_uses_what_is_kept_it_cannot_be_taken_away(app: Path, plimsoll: Plimsoll) -> None:
    assert plimsoll("run").returncode == 0
    await_closed(app)
    with (app / ".plimsoll/sealed/users.lock").open("ab") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        for act in (("encryption", "remove"), ("erase", "--everything")):
            refused = plimsoll(*act)
            assert refused.returncode == 1
            assert "what is kept is in use" in refused.stderr
    assert plimsoll("status").returncode == 0
