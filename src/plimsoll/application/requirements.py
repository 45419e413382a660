"""Reads a pip requirements file by pip's grammar, as far as it names other files: included files and local packages.

https://pip.pypa.io/en/stable/reference/requirements-file-format/ is the grammar. Relative names of included files start
at the file that includes them; relative paths of packages start at the directory in which the installer runs.
"""

from __future__ import annotations

import codecs
import optparse
import os
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from plimsoll.documents.places import display_path
from plimsoll.errors import FileError

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMED_URL = re.compile(r"^[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*(\S.*)$")
_EXTRAS = re.compile(r"^(.+?)\s*\[[^\]]*\]$")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.lz", ".tlz")
_ATTACHED = re.compile(r"^-[rcefi][^\s=]")
_FLAGS = ("no-index", "prefer-binary", "require-hashes", "pre")
_LISTS = ("extra-index-url", "trusted-host", "no-binary", "only-binary", "use-feature", "hash")
_LISTS_OF_BUILDS = ("global-option", "config-settings")
_FILES = {"requirement": "-r", "constraint": "-c", "editable": "-e", "find-links": "-f"}
_LONG = frozenset({"index-url", "pypi-url", *_FLAGS, *_LISTS, *_LISTS_OF_BUILDS, *_FILES})


class LocalPackage(Struct, frozen=True, kw_only=True):
    """A directory or a file on this machine that is installed, or in which packages are looked up."""

    path: Path
    editable: bool = False


class Requirements(Struct, frozen=True, kw_only=True):
    """What a requirements file reads on this machine.

    `files` are the file itself and the included ones. `values` are requirements with a variable, with its value and
    without passwords. `only_pip` says that uv cannot read the files.
    """

    files: tuple[Path, ...]
    packages: tuple[LocalPackage, ...] = ()
    values: tuple[str, ...] = ()
    only_pip: bool = False


class _Options(optparse.OptionParser):
    def error(self, msg: str) -> None:  # type: ignore[override]  # optparse's own ends the process
        raise optparse.OptParseError(msg)


class _Line(Struct, frozen=True):
    number: int
    text: str
    written: str


def read_requirements(directory: Path, requirements: str) -> Requirements:
    """Read a requirements file of an application in `directory`, and everything that it includes.

    Raises FileError with the line for a file or a local package that does not exist.
    """
    waiting, files = [directory / requirements], dict.fromkeys([directory / requirements])
    packages: list[LocalPackage] = []
    values: list[str] = []
    only_pip = False
    while waiting:
        path = waiting.pop(0)
        for line in _lines(path):
            where = f"{display_path(path)}:{line.number}"
            arguments, options = _parsed(line.text)
            only_pip = only_pip or _is_for_pip_alone(line.text)
            if not arguments and not options.editable:
                included = (options.requirement or options.constraint or [None])[0]
                if included is not None:
                    found = _included(path, included, where)
                    waiting += [found] if found not in files else []
                    files[found] = None
            packages += _packages(arguments, options, (directory, path.parent), where)
            if line.text != line.written and (arguments or options.editable):
                values.append(re.sub(r"//[^/@\s]*@", "//", line.text))
    return Requirements(files=tuple(files), packages=tuple(packages), values=tuple(values), only_pip=only_pip)


def _lines(path: Path) -> Iterator[_Line]:
    """Logical lines without comments, with the values of variables; nothing for a file that cannot be read.

    A `pyproject.toml`, which uv takes too, has no such lines.
    """
    try:
        content = path.read_bytes() if path.is_file() and path.suffix != ".toml" else b""
    except OSError:
        return
    joined, first = "", 0
    for number, physical in enumerate([*_decoded(content).splitlines(), ""], 1):
        comment = physical.lstrip().startswith("#")
        if physical.endswith("\\") and not comment:
            joined, first = joined + physical.strip("\\"), first or number
            continue
        # A comment ends the line that it continues, and is no part of it.
        written = _COMMENT.sub("", joined + (f" {physical}" if comment else physical)).strip()
        if written:
            value = _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[0], written)
            yield _Line(first or number, value, written)
        joined, first = "", 0


def _decoded(content: bytes) -> str:
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return content[len(bom) :].decode(encoding, "replace")
    for line in content.split(b"\n")[:2]:
        named = _CODING.search(line) if line.startswith(b"#") else None
        if named:
            try:
                return content.decode(named[1].decode("ascii"), "surrogateescape")
            except (LookupError, UnicodeError):
                break
    return content.decode("utf-8", "surrogateescape")


def _parsed(line: str) -> tuple[str, optparse.Values]:
    """The requirement before the first option, and the options. A line that pip refuses names nothing."""
    words = line.split(" ")
    begin = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    parser = _parser()
    try:
        options, _ = parser.parse_args(shlex.split(" ".join(words[begin:])))
    except (optparse.OptParseError, ValueError):
        options = parser.get_default_values()
    return " ".join(words[:begin]).strip(), options


def _parser() -> _Options:
    parser = _Options(add_help_option=False)
    for name, short in _FILES.items():
        parser.add_option(short, f"--{name}", dest=name.replace("-", "_"), action="append")
    parser.add_option("-i", "--index-url", "--pypi-url")
    for name in (*_LISTS, *_LISTS_OF_BUILDS):
        parser.add_option(f"--{name}", action="append")
    for name in _FLAGS:
        parser.add_option(f"--{name}", action="store_true")
    return parser


def _is_for_pip_alone(line: str) -> bool:
    """Whether a line has an attached value such as `-rbase.txt`, or a shortened option: pip takes it, uv does not."""
    option = re.match(r"--([\w-]+)", line)
    return bool(_ATTACHED.match(line)) or (option is not None and option[1] not in _LONG)


def _included(by: Path, name: str, where: str) -> Path:
    if re.match(r"^https?:", name, re.IGNORECASE):
        raise FileError(
            f"the included file {name} is at an address, so that its content cannot be known",
            where=where,
            hint="download it next to the requirements file, and include it by its path",
        )
    path = _of_url(name) if re.match(r"^file:", name, re.IGNORECASE) else by.parent / name
    if not path.is_file():
        hint = "paths of included files are relative to the file that includes them"
        raise FileError(f"{display_path(path)} does not exist", where=where, hint=hint)
    return path


def _packages(
    requirement: str, options: optparse.Values, roots: tuple[Path, Path], where: str
) -> Iterator[LocalPackage]:
    if requirement:
        yield from (LocalPackage(path=path) for path in _package(requirement, roots, where))
    for editable in (options.editable or [])[:1] if not requirement else ():
        yield from (LocalPackage(path=path, editable=True) for path in _package(editable, roots, where, editable=True))
    for place in options.find_links or ():
        named = _of_url(place) if re.match("^file:", place, re.IGNORECASE) else Path(place)
        yield from (LocalPackage(path=path) for path in _existing(named, roots))


def _package(requirement: str, roots: tuple[Path, Path], where: str, *, editable: bool = False) -> tuple[Path, ...]:
    """The paths that a requirement may mean: installers differ in the directory where relative ones start."""
    name, _, marker = requirement.partition(";")
    named = _NAMED_URL.match(name.strip())
    name = named[1].strip() if named else name.strip()
    extras = _EXTRAS.match(name)
    name = extras[1] if extras and not _existing(Path(name), roots) else name
    if re.match("^file:", name, re.IGNORECASE):
        path = _of_url(name)
    elif re.match(r"^[A-Za-z][\w+.-]+:", name):
        return ()
    elif editable or named or "/" in name or name.startswith(".") or name.lower().endswith(_ARCHIVES):
        path = Path(name)
    else:
        return ()
    found = _existing(path, roots)
    if not found and not marker:
        hint = "paths of packages are relative to the application file"
        raise FileError(f"the package {requirement} does not exist", where=where, hint=hint)
    return found


def _existing(path: Path, roots: tuple[Path, Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(found for root in roots if (found := Path(os.path.normpath(root / path))).exists()))


def _of_url(url: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
