"""`python -m plimsoll.runtime.pull`: a model by digest from a registry into a directory, verified, before it is served.

    python -m plimsoll.runtime.pull registry.example/shop/triage@sha256:… --keys /keys --output /models/triage
    python -m plimsoll.runtime.pull --mounted /models/triage --digest sha256:… --keys /keys

The second form verifies what an image volume has mounted. It prints one line of JSON with the model and its files, and
exits 0; or one line of reason, and exits 1. `--keys` is a file or a directory of public keys, such as the mounted
ConfigMap of `KeyRing.files()`. How the registry is reached: REGISTRY_AUTH_FILE (a docker config.json),
PLIMSOLL_REGISTRY_CA (a PEM file), PLIMSOLL_PLAIN_HTTP_REGISTRIES (hosts, comma between).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from plimsoll.errors import FileError, PlimsollError
from plimsoll.registry.models import ModelVersion, require_accepted
from plimsoll.signing.keys import KeyFiles


def main() -> None:
    """Pull or verify; exit 1 with one line of reason when the model may not be used."""
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
        raise FileError("--mounted wants the digest of the model that is to be there", hint="--digest sha256:…")
    found = check_directory(arguments.mounted, KeyFiles(arguments.keys), arguments.digest)
    return found.version, found.signed_by, arguments.mounted


def _pulled(arguments: argparse.Namespace) -> tuple[ModelVersion, str, Path]:
    from plimsoll.registry.references import parse
    from plimsoll.registry.repository import Repository
    from plimsoll.registry.transfer import pull_files

    reference = parse(arguments.reference or "")
    if not reference.digest:
        raise FileError("a model is pulled by digest: a tag could lead elsewhere", where=str(reference))
    if not arguments.output:
        raise FileError("there is no directory to pull it to", hint="--output /models/triage")
    with Repository(reference) as repository:
        pulled = pull_files(repository, reference.digest, KeyFiles(arguments.keys), arguments.output)
    return pulled.version, pulled.signed_by, arguments.output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m plimsoll.runtime.pull", description="Pull a model by digest, verified."
    )
    parser.add_argument("reference", nargs="?", help="registry/repository@sha256:…")
    parser.add_argument("--keys", type=Path, required=True, help="a public key, or a directory of them")
    parser.add_argument("--output", type=Path, help="the directory to make, below a mount that can be written")
    parser.add_argument("--mounted", type=Path, help="verify a model that is mounted here instead")
    parser.add_argument("--digest", default="", help="of the mounted model")
    parser.add_argument("--any", action="store_true", help="also a model that misses its acceptance")
    return parser.parse_args()


if __name__ == "__main__":
    main()
