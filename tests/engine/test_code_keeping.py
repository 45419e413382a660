"""Which files of the code are kept for a version, and the commit that they are of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from plimsoll.engine.code_keeping import keep_code
from plimsoll.engine.revision import revision_of
from plimsoll.kinds.register import Register
from plimsoll.planning.steps import Ingredient, Plan, Step
from plimsoll.state.code_files import CodeFiles, Revision
from plimsoll.state.directory import StateDirectory


def kept(directory: Path, files: dict[str, bytes]) -> tuple[set[str], dict[str, str]]:
    """The names of the files that are kept, and why others are not."""
    digests = {}
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    lineage = tuple(Ingredient(kind="code", name=name, digest=digest) for name, digest in digests.items())
    lineage += (Ingredient(kind="source", name="orders", digest="0" * 64),)
    work = Register(model="m", train="train/m", train_key="k", command="true", framework="none", lineage=lineage)
    plan = Plan(application="a", target="local", steps=(Step(part="m", key="r", work=work),))
    state = StateDirectory(directory)
    keep_code(plan, state, directory)
    store = CodeFiles(state.code)
    found = store.found(digests)
    return set(found), {name: store.reason(digest) for name, digest in digests.items() if name not in found}


def test_scripts_and_settings_are_kept_and_data_and_credentials_are_not(tmp_path: Path) -> None:
    names, left_out = kept(
        tmp_path,
        {
            "train.py": b"token = tokenizer.next_token()\nsecret = os.environ['SECRET']\npad_token = '<pad>'\n",
            "config.yaml": b"lr: 0.1\nmax_tokens: 512\n",
            "sub/lib.py": b"# basic statistics\n",
            "orders.csv": b"a,b\n1,2\n",
            "big.txt": b"x" * (2 << 20),
            ".env": b"A=1\n",
            "deploy.pem": b"nothing",
            "upload.py": b"KEY = 'AKIA" + b"A" * 16 + b"'\n",
            "login.py": b"password = 'correct-horse-battery'\n",
            "fetch.py": b"get('https://me:hunter22@example.com/x')\n",
        },
    )
    assert names == {"train.py", "config.yaml", "sub/lib.py"}
    assert left_out == {
        "orders.csv": "it is data",
        "big.txt": "it is larger than 1 MiB",
        ".env": "by its name it may hold credentials",
        "deploy.pem": "by its name it may hold credentials",
        "upload.py": "it holds what looks like a credential",
        "login.py": "it holds what looks like a credential",
        "fetch.py": "it holds what looks like a credential",
    }


def test_a_value_of_the_environment_is_a_credential_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_PASSWORD", "plain-looking-words")
    assert kept(tmp_path, {"train.py": b"connect('plain-looking-words')"})[0] == set()


def test_a_file_that_has_changed_since_the_plan_is_not_kept_as_what_it_was(tmp_path: Path) -> None:
    kept(tmp_path, {"train.py": b"1"})
    state = StateDirectory(tmp_path)
    digest = hashlib.sha256(b"planned").hexdigest()
    work = Register(
        model="m",
        train="train/m",
        train_key="k2",
        command="true",
        framework="none",
        lineage=(Ingredient(kind="code", name="train.py", digest=digest),),
    )
    keep_code(Plan(application="a", target="local", steps=(Step(part="m", key="r2", work=work),)), state, tmp_path)
    assert CodeFiles(state.code).found({"train.py": digest}) == {}
    assert CodeFiles(state.code).reason(digest) == "it was changed while the run began"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_known_and_whether_the_code_is_what_was_committed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "e", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "e"}
        argv = ["git", "-C", str(tmp_path), *words]
        return subprocess.run(
            argv, capture_output=True, text=True, check=True, env={**os.environ, **who}
        ).stdout.strip()

    below = tmp_path / "app"
    below.mkdir()
    (below / "train.py").write_text("1")
    (tmp_path / "lib.py").write_text("1")
    assert revision_of(below, ["train.py"]) == Revision()
    git("init", "-q")
    assert revision_of(below, ["train.py"]) == Revision()
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert revision_of(below, ["train.py", "../lib.py"]) == Revision(commit, dirty=False)
    (tmp_path / "notes.txt").write_text("nobody's code")
    assert revision_of(below, ["train.py"]) == Revision(commit, dirty=False)
    (below / "new.py").write_text("not added yet")
    assert revision_of(below, ["train.py", "new.py"]) == Revision(commit, dirty=True)
    (tmp_path / "lib.py").write_text("2")
    assert revision_of(below, ["train.py"]) == Revision(commit, dirty=True)
