"""The registries by which models and results reach the targets of a file."""

from __future__ import annotations

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import FileError
from plimsoll.registry.references import parse_reference


def check_routes(file: ApplicationFile) -> None:
    """Raise FileError for a route that is no HOST/PATH of a registry."""
    for name, named in file.application.targets.items():
        if named.route is None:
            continue
        try:
            parse_reference(f"{named.route}/x")
        except FileError as error:
            raise file.error(error.message, error.hint, "spec", "targets", name, "route") from error
