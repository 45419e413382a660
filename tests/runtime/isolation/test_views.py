"""What a sandbox shows, what its filter refuses, which variables it gets, and what it says of its refusals. Pure."""

from __future__ import annotations

import struct

import pytest

from plimsoll.runtime.isolation.denials import Bounds, refused
from plimsoll.runtime.isolation.seccomp import system_call_filter
from plimsoll.runtime.isolation.variables import inside
from plimsoll.runtime.isolation.view import Sight, View, arguments, strict_paths

KEYS = {"/home/ann/.ssh": Sight.HIDDEN, "/home/ann/app/.plimsoll": Sight.HIDDEN}
ROOM = 16 << 20
BOUNDS = Bounds(processes=64)


def strict(*, network: bool = False, reads: tuple[str, ...] = (), writes: tuple[str, ...] = ()) -> View:
    own = ("/home/ann/app/.plimsoll/work/k",)
    paths = strict_paths(("/usr", "/lib"), "/home/ann", ("/home/ann/app", *reads), (*own, *writes), KEYS)
    return View(whole=False, paths=paths, directory="/home/ann/app", network=network, room=ROOM)


def usual() -> View:
    return View(whole=True, paths={"/home/ann/.ssh": Sight.HIDDEN}, directory="/home/ann/app")


@pytest.mark.parametrize(
    ("path", "sight"),
    [
        ("/home/ann/app/train.py", Sight.READ),
        ("/home/ann/app/.plimsoll/work/k/output/model.onnx", Sight.WRITE),
        ("/home/ann/app/.plimsoll/registry", Sight.HIDDEN),
        ("/home/ann/.ssh/id_rsa", Sight.EMPTY),
        ("/home/ann/notes.txt", Sight.EMPTY),
        ("/tmp/x", Sight.EMPTY),
        ("/usr/bin/env", Sight.READ),
        ("/usr", Sight.READ),
        ("/usrlocal", None),
        ("/srv/data", None),
    ],
)
def test_a_strict_view_has_what_is_named_and_the_longest_path_decides(path: str, sight: Sight | None) -> None:
    assert strict().sight(path) is sight


def test_keys_stay_hidden_in_a_home_directory_that_is_let_in_unless_they_are_named_themselves() -> None:
    assert strict(reads=("/home/ann",)).sight("/home/ann/.ssh/id_rsa") is Sight.HIDDEN
    assert strict(reads=("/home/ann",)).sight("/home/ann/notes.txt") is Sight.READ
    named = strict(reads=("/home/ann/.ssh/config",))
    assert named.sight("/home/ann/.ssh/config") is Sight.READ
    assert named.hides("/home/ann/.ssh/id_rsa")


def test_an_input_below_what_may_be_written_can_be_written() -> None:
    view = strict(reads=("/home/ann/app/.plimsoll/work/k/output",), writes=("/srv/cache",))
    assert view.sight("/home/ann/app/.plimsoll/work/k/output/x") is Sight.WRITE
    assert view.sight("/srv/cache/x") is Sight.WRITE


def test_mounts_come_from_above_to_below() -> None:
    words = arguments(strict(reads=("/home/ann/.ssh/config",)))
    mounted = [words[i + 1] for i, word in enumerate(words) if word in ("--ro-bind-try", "--bind", "--tmpfs")]
    for place, path in enumerate(mounted):
        assert not any(path.startswith(later + "/") for later in mounted[place + 1 :])
    assert "--unshare-net" in words
    assert words[-4:] == ["--remount-ro", "/", "--chdir", "/home/ann/app"]
    assert "--unshare-net" not in arguments(strict(network=True))


def test_all_files_of_the_machine_are_neither_its_processes_nor_its_devices() -> None:
    words = arguments(strict(reads=("/",)))
    assert words.index("--ro-bind-try") < words.index("--proc") < words.index("--dev")
    assert words[words.index("--ro-bind-try") + 1] == "/"
    assert [words[i + 1] for i, word in enumerate(words) if word == "--ro-bind-try"].count("/") == 1
    assert "/usr" not in words
    assert strict(reads=("/",)).hides("/home/ann/.ssh/id_rsa")


def test_the_usual_view_keeps_the_machine_and_what_root_needs_for_its_files() -> None:
    words = arguments(usual())
    assert words[words.index("--bind") : words.index("--bind") + 3] == ["--bind", "/", "/"]
    assert "--unshare-user" in words
    root = arguments(View(whole=True, paths={}, directory="/", as_root=True))
    assert "--unshare-user" not in root
    assert "CAP_SYS_ADMIN" not in root
    assert "CAP_DAC_OVERRIDE" in root


@pytest.mark.parametrize(
    ("view", "log", "said"),
    [
        (strict(), "cat: /home/ann/.ssh/id_rsa: No such file or directory", "reads: [/home/ann/.ssh/id_rsa]"),
        (strict(), "FileNotFoundError: [Errno 2] No such file or directory: '/srv/rows.csv'", "reads: [/srv/rows.csv]"),
        (usual(), "PermissionError: [Errno 13] Permission denied: '/home/ann/.ssh/id_rsa'", "isolation hides /home"),
        (usual(), "FileNotFoundError: [Errno 2] No such file or directory: '/srv/rows.csv'", ""),
        (strict(), "OSError: [Errno 30] Read-only file system: '/home/ann/app/cache/x'", "[/home/ann/app/cache]"),
        (strict(), "OSError: [Errno 101] Network is unreachable", "network: true"),
        (strict(), "socket.gaierror: [Errno -3] Temporary failure in name resolution\nduring x", "network: true"),
        (strict(network=True), "OSError: [Errno 101] Network is unreachable", ""),
        (usual(), "OSError: [Errno 101] Network is unreachable", ""),
        (strict(), "BlockingIOError: [Errno 11] Resource temporarily unavailable", "64 processes and threads"),
        (strict(), "OSError: [Errno 28] No space left on device", "16 MiB in /tmp"),
        (strict(), "PermissionError: [Errno 1] Operation not permitted", "refuses it this call"),
        (strict(), "ValueError: no such column: age", ""),
        (strict(), "see https://example.org/srv/rows.csv: not found", ""),
        (strict(), "", ""),
        (strict(), "\x00/srv/rows.csv\x00 not found \xff", "reads: [/srv/rows.csv]"),
    ],
)
def test_what_was_refused_is_told_with_the_setting_that_allows_it(view: View, log: str, said: str) -> None:
    there = {"/home/ann/.ssh/id_rsa", "/srv/rows.csv"}
    told = refused(log, view, BOUNDS, there.__contains__)
    assert said in told
    assert bool(told) == bool(said)


def test_a_bound_that_the_kernel_has_counted_is_told_whatever_the_step_says() -> None:
    told = refused("Killed", strict(), Bounds(processes=64, processes_reached=True), lambda _: False)
    assert "processes: 256" in told


def test_a_strict_sandbox_gets_what_was_set_for_it_and_no_credentials() -> None:
    outside = {"PATH": "/bin", "HOME": "/home/ann", "AWS_SECRET_ACCESS_KEY": "x", "OMP_NUM_THREADS": "2", "MINE": "1"}
    outside |= {"https_proxy": "http://user:password@proxy", "TORCH_TOKEN": "x", "TMPDIR": "/scratch"}
    given = {**outside, "PATH": "/venv/bin:/bin", "PLIMSOLL_OUTPUT": "/o"}
    assert inside(given, outside, network=False) == {
        "PATH": "/venv/bin:/bin",
        "HOME": "/home/ann",
        "OMP_NUM_THREADS": "2",
        "PLIMSOLL_OUTPUT": "/o",
        "TMPDIR": "/tmp",
    }
    assert "https_proxy" in inside(given, outside, network=True)
    assert inside(given, outside, network=False, more=("MINE",))["MINE"] == "1"


@pytest.mark.parametrize(
    ("machine", "architecture", "refused_calls", "allowed"),
    [
        ("x86_64", 0xC000003E, (250, 165, 272, 425, 304, 0x40000000 + 1), (0, 1, 56, 59, 231, 435)),
        ("aarch64", 0xC00000B7, (219, 40, 97, 425, 265), (63, 64, 220, 221, 94, 435)),
    ],
)
def test_the_filter_refuses_what_leads_to_the_kernel_and_allows_the_rest(
    machine: str, architecture: int, refused_calls: tuple[int, ...], allowed: tuple[int, ...]
) -> None:
    program = system_call_filter(machine)
    for number in refused_calls:
        assert _carried_out(program, architecture, number) == 0x00050001, number
    for number in allowed:
        assert _carried_out(program, architecture, number) == 0x7FFF0000, number
    assert _carried_out(program, 0x40000003, 1) == 0x00050001


def test_there_is_no_filter_for_a_machine_whose_numbers_are_not_known() -> None:
    assert system_call_filter("riscv64") == b""


def _carried_out(program: bytes, architecture: int, number: int) -> int:
    """What the program answers for a call, as the kernel would carry it out."""
    lines = list(struct.iter_unpack("=HBBI", program))
    assert len(lines) < 256
    held, place = 0, 0
    while True:
        code, true, false, value = lines[place]
        if code == 0x20:
            held, place = {0: number, 4: architecture}[value], place + 1
        elif code == 0x06:
            return int(value)
        else:
            holds = held == value if code == 0x15 else held >= value
            place += 1 + (true if holds else false)
