"""Content digests of the files and addresses that an application names, as input for planning."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.code import code_files, files_matching
from plimsoll.application.digests import Digests
from plimsoll.application.environment import environment_digest
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parameters import named_in
from plimsoll.application.predictors import function_script
from plimsoll.application.scripts import missing_script, similar_file
from plimsoll.documents.places import display_path
from plimsoll.errors import FileError


class Workspace(Struct, frozen=True, kw_only=True):
    """Content digests of everything that the application file refers to.

    `sources` maps a dataset name to the digest of its source. `code` maps a step name to (file, digest) pairs.
    `parameters` maps a step name to the names of the parameters that it is given. `functions` maps a step name to the
    script with the function that it serves, for one that serves a function. `notes` maps a step name to what of
    its code was not found. `environment` is the name and the digest of the
    environment of the commands.
    """

    sources: Mapping[str, str] = {}
    code: Mapping[str, tuple[tuple[str, str], ...]] = {}
    parameters: Mapping[str, tuple[str, ...]] = {}
    functions: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}
    environment: tuple[str, str] = ("python", "")


class NamedSource(Struct, frozen=True, kw_only=True):
    """A source that the file names: a path or an address. `at` is its path of keys in the file."""

    name: str
    source: str
    sha256: str | None
    at: tuple[str | int, ...]


class NamedCommand(Struct, frozen=True, kw_only=True):
    """A command line of a step with its `code` patterns; `at` is the path of keys of the mapping that holds both.

    `serves` is set for one that answers requests, by a function in its script or as a server.
    """

    step: str
    command: str
    code: tuple[str, ...]
    at: tuple[str | int, ...]
    serves: bool = False


_READABLE = "make it readable by you"


def gather(
    file: ApplicationFile, sources: Iterable[NamedSource], commands: Sequence[NamedCommand], cache: Path
) -> Workspace:
    """Compute the digests of everything that a checked file names. `cache` is the file that keeps digests.

    Raises FileError for a path that cannot be read, TargetError for an address that does not answer.
    """
    digests = Digests(cache)
    found = {each.name: _source(file, each, digests) for each in sources}
    found_code = {each.step: _code(file, digests, each) for each in commands}
    code = {step: files for step, (files, _) in found_code.items()}
    notes = {step: note for step, (_, note) in found_code.items() if note}
    parameters = {each.step: _parameters(file, each, *found_code[each.step]) for each in commands}
    functions = {each.step: function_script(each.command, file.directory) for each in commands if each.serves}
    environment = environment_digest(file, digests) if code else ("python", "")
    digests.save()
    return Workspace(
        sources=found, code=code, parameters=parameters, functions=functions, notes=notes, environment=environment
    )


def _source(file: ApplicationFile, named: NamedSource, digests: Digests) -> str:
    source = named.source
    if "://" not in source:
        return _digest(file, digests, file.directory / source, *named.at)
    if named.sha256 is not None:
        # The content is pinned, so the network is not needed.
        return named.sha256
    from plimsoll.application.addresses import address_digest

    return address_digest(source)


def _code(file: ApplicationFile, digests: Digests, named: NamedCommand) -> tuple[tuple[tuple[str, str], ...], str]:
    """The files of a command with their digests, and what was not found."""
    if missing := missing_script(named.command, file.directory):
        similar = similar_file(missing, file.directory)
        hint = f"did you mean '{similar}'?" if similar else "paths are relative to the application file"
        raise file.error(f"the script '{missing}' is not there", hint, *named.at, "run")
    found = code_files(named.command, file.directory)
    paths = dict.fromkeys(found.files)
    for number, pattern in enumerate(named.code):
        try:
            matches = files_matching(pattern, file.directory)
        except OSError as error:
            where = file.where(*named.at, "code", number)
            raise FileError(f"'{pattern}' cannot be read: {error.strerror}", where=where, hint=_READABLE) from None
        if not matches:
            where = file.where(*named.at, "code", number)
            raise FileError(
                f"'{pattern}' matches no file",
                where=where,
                hint="correct the pattern; paths are relative to the application file",
            )
        paths |= dict.fromkeys(matches)
    digested = (
        (os.path.relpath(path, file.directory), _digest(file, digests, path, *named.at, "run")) for path in paths
    )
    return tuple(sorted(digested)), "" if named.code else found.note


def _parameters(
    file: ApplicationFile, named: NamedCommand, files: tuple[tuple[str, str], ...], note: str
) -> tuple[str, ...]:
    """The names of the parameters of a command; all of them where its code was not found."""
    known = file.application.parameters
    if note:
        return tuple(known)
    return named_in(named.command, [file.directory / path for path, _ in files], known)


def _digest(file: ApplicationFile, digests: Digests, path: Path, *at: str | int) -> str:
    try:
        return digests.of(path)
    except OSError as error:
        raise FileError(f"{display_path(path)} cannot be read: {error.strerror}", where=file.where(*at)) from None
