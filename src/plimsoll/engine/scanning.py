"""What a scan is of: the environment and the models of an application, one version, or what lies at a path."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path

from msgspec import Struct

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError, PlimsollError
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.advisories import Database
from plimsoll.supply.findings import Finding, Verdict, count
from plimsoll.supply.model_files import judge_directory, judge_file
from plimsoll.supply.packages import installed, site_packages
from plimsoll.supply.vulnerabilities import Scanned, scan_packages
from plimsoll.targets.models import model_registry
from plimsoll.targets.supplies import environment_packages


class ScannedEnvironment(Struct, frozen=True, kw_only=True):
    """The packages of one environment."""

    of: str
    packages: tuple[Scanned, ...]


class ScannedModel(Struct, frozen=True, kw_only=True):
    """The files of one model."""

    of: str
    files: tuple[Finding, ...]


class Scan(Struct, frozen=True, kw_only=True):
    """All that was scanned. `gaps` say what could not be."""

    environments: tuple[ScannedEnvironment, ...] = ()
    models: tuple[ScannedModel, ...] = ()
    gaps: tuple[str, ...] = ()
    database: Database | None = None
    complete: bool = False

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many things have each verdict; a gap is one that is not known."""
        packages = (one.finding for each in self.environments for one in each.packages)
        found = count(chain(packages, (one for each in self.models for one in each.files)))
        found["unknown"] += len(self.gaps)
        return found

    @property
    def coverage(self) -> float:
        """The share of things whose verdict is known; 0 of nothing."""
        found = self.counts
        total = sum(found.values())
        return (total - found["unknown"]) / total if total else 0.0


def scan(
    things: Sequence[str], file: Path, database: Database | None, *, complete: bool, allow: Collection[str]
) -> Scan:
    """Scan what is named, or the application. Raises FileError, TargetError and ModelRefused."""
    environments: list[ScannedEnvironment] = []
    models: list[ScannedModel] = []
    gaps: list[str] = []
    for thing in things:
        path = Path(thing)
        if (path / "pyvenv.cfg").is_file():
            packages = installed(site_packages(path))
            environments.append(
                ScannedEnvironment(of=thing, packages=scan_packages(packages, database, complete=complete))
            )
        elif path.is_dir():
            models.append(ScannedModel(of=thing, files=judge_directory(path, allow)))
        elif path.exists() or "/" in thing:
            models.append(ScannedModel(of=thing, files=(_one_file(path, allow),)))
        else:
            models.append(_version(file, thing, allow))
    if not things:
        environments, models, gaps = _application(file, database, complete=complete, allow=allow)
    return Scan(
        environments=tuple(environments),
        models=tuple(models),
        gaps=tuple(gaps),
        database=database,
        complete=complete,
    )


def _one_file(path: Path, allow: Collection[str]) -> Finding:
    if not path.exists():
        hint = "name a file, a directory, an environment, or a version such as triage@2"
        raise FileError("there is no such file", where=str(path), hint=hint)
    return judge_file(path, path.name, allow)


def _version(file: Path, reference: str, allow: Collection[str]) -> ScannedModel:
    application = _loaded(file)
    registry = model_registry(StateDirectory(application.directory))
    try:
        version = registry.find(reference)
    except PlimsollError as error:
        hint = f"{error.hint}; a file beside you is named as ./{reference}" if error.hint else error.hint
        raise type(error)(error.message, where=error.where, hint=hint) from error
    opened = registry.open(version)
    found = tuple(judge_file(path, name, allow) for name, path in sorted(opened.files.items()))
    return ScannedModel(of=version.reference, files=found)


def _application(
    file: Path, database: Database | None, *, complete: bool, allow: Collection[str]
) -> tuple[list[ScannedEnvironment], list[ScannedModel], list[str]]:
    application = _loaded(file)
    found = environment_packages(application)
    gaps = [found.gap] if found.packages is None else []
    environments = (
        [ScannedEnvironment(of=found.name, packages=scan_packages(found.packages, database, complete=complete))]
        if found.packages is not None
        else []
    )
    registry = model_registry(StateDirectory(application.directory))
    newest = {version.name: version.reference for version in registry.versions()}
    models = [_version(file, reference, allow) for reference in newest.values()]
    if not models:
        gaps.append("the application has no model yet: plimsoll run registers one")
    return environments, models, gaps


def _loaded(file: Path) -> ApplicationFile:
    return KINDS.load(file / "plimsoll.yaml" if file.is_dir() else file)
