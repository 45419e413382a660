from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plimsoll.runtime.start_problem import start_problem


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (b"#!/bin/sh\r\necho 1\r\n", 0o755, "ends with CRLF, so that its interpreter would be '/bin/sh\\r'"),
        (b"#! /usr/bin/python3\r", 0o755, "would be '/usr/bin/python3\\r'"),
        (b"#!/no/such/python3 -u\n", 0o755, "the interpreter '/no/such/python3' in the first line"),
        (b"#!\n", 0o755, "the interpreter '' in the first line"),
        (b"\xef\xbb\xbf#!/bin/sh\n", 0o755, "byte order mark"),
        (b"echo 1\n", 0o755, "does not begin with a line that names its interpreter"),
        (b"", 0o755, "does not begin with a line that names its interpreter"),
        (b"#!/" + b"x" * 400 + b"\n", 0o755, "longer than 256 bytes"),
        (b"\x7fELF\x02\x01\x01" + bytes(64), 0o755, "a program for another machine"),
        (b"#!/bin/sh\n", 0o644, "is not executable"),
    ],
)
@pytest.mark.parametrize("program", ["./go", "go"])
def test_the_reason_is_what_the_system_did_not_say(
    tmp_path: Path, content: bytes, mode: int, reason: str, program: str
) -> None:
    file = tmp_path / "go"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(OSError) as refused:
        subprocess.Popen([program], cwd=tmp_path, env={"PATH": str(tmp_path)})
    problem = start_problem(program, refused.value.errno or 0, tmp_path, str(tmp_path))
    assert reason in problem.message
    assert f"'{program}'" in problem.message
    assert problem.hint


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "go").mkdir()
    assert start_problem("./go", 13, tmp_path, str(tmp_path)).message == "'./go' is a directory"


def test_a_program_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    for program in ("nothing", "./nothing"):
        assert start_problem(program, 2, tmp_path, str(tmp_path)).message == f"the command '{program}' was not found"
