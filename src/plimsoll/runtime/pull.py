"""`python -m plimsoll.runtime.pull`: pull a model by digest into a directory, and verify it before it is served.

    python -m plimsoll.runtime.pull registry.example/shop/triage@sha256:… --keys /keys --output /models/triage
    python -m plimsoll.runtime.pull --mounted /models/triage --digest sha256:… --keys /keys

The second form verifies the model in a mounted image volume. On success it prints one line of JSON with the model and
its files and exits 0; else it prints a one-line reason and exits 1. `--keys` is a file or a directory of public keys,
for example the mounted ConfigMap of `KeyRing.files()`. Variables for the registry: REGISTRY_AUTH_FILE (a Docker
config.json), PLIMSOLL_REGISTRY_CA (a PEM file), PLIMSOLL_PLAIN_HTTP_REGISTRIES (hosts separated by commas).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from plimsoll.errors import FileError, PlimsollError
from plimsoll.registry.versions import ModelVersion, require_accepted
from plimsoll.signing.keys import KeyFiles


def main() -> None:
    """Pull or verify the model; exit 1 with a one-line reason when it may not be used."""
    arguments = _arguments()
    try:
        version, signed_by, directory = _mounted(arguments) if arguments.mounted else _pulled(arguments)
        if not arguments.any:
            require_accepted(version)
    except PlimsollError as error:
        sys.stderr.write(f"error: {error.on_one_line()}\n")
        sys.exit(1)
    files = {name: str(directory / name) for name in version.files}
    about = {"model": version.reference, "digest": version.digest, "signed_by": signed_by, "files": files}
    print(json.dumps(about), flush=True)


def _mounted(arguments: argparse.Namespace) -> tuple[ModelVersion, str, Path]:
    from plimsoll.registry.verification import check_directory

    if not arguments.digest:
        raise FileError("--mounted needs the digest of the expected model", hint="add --digest sha256:…")
    found = check_directory(arguments.mounted, KeyFiles(arguments.keys), arguments.digest)
    return found.version, found.signed_by, arguments.mounted


def _pulled(arguments: argparse.Namespace) -> tuple[ModelVersion, str, Path]:
    from plimsoll.registry.references import parse_reference
    from plimsoll.registry.repository import Repository
    from plimsoll.registry.transfer import pull_files

    reference = parse_reference(arguments.reference or "")
    if not reference.digest:
        raise FileError("the reference has no digest; a tag may move to another model", where=str(reference))
    if not arguments.output:
        raise FileError("the directory for the model is missing", hint="add --output /models/triage")
    with Repository(reference) as repository:
        pulled = pull_files(repository, reference.digest, KeyFiles(arguments.keys), arguments.output)
    return pulled.version, pulled.signed_by, arguments.output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.pull", description="Pull a model by digest and verify it."
    )
    parser.add_argument("reference", nargs="?", help="registry/repository@sha256:…")
    parser.add_argument("--keys", type=Path, required=True, help="a public key, or a directory of them")
    parser.add_argument("--output", type=Path, help="the directory to create, below a writable mount")
    parser.add_argument("--mounted", type=Path, help="verify the model mounted here instead")
    parser.add_argument("--digest", default="", help="digest of the mounted model")
    parser.add_argument("--any", action="store_true", help="accept also a model that misses its bounds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
