"""A node runs an image from the registry. S3 returns an object to clients with the key and to no others."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import layout
from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.images import archive
from lab.images.names import REGISTRY_HOST
from lab.images.store import agnhost_image
from lab.kubectl import get
from tests.lab.cluster import Namespace, phase, until
from tests.lab.conftest import Up

pytestmark = pytest.mark.lab
# The curl of Debian 12 signs another body than it sends, so the signature leaves the body out.
UNSIGNED = "x-amz-content-sha256: UNSIGNED-PAYLOAD"


@contextmanager
def forwarded(namespace: str, service: str, port: int) -> Iterator[int]:
    """A port on 127.0.0.1 that forwards to a service."""
    program = folder_of(BY_NAME["kubernetes"]) / "kubectl"
    command = [str(program), f"--kubeconfig={layout.KUBECONFIG}", "port-forward", f"-n{namespace}", f"svc/{service}"]
    running = subprocess.Popen([*command, f":{port}"], stdout=subprocess.PIPE, text=True)
    assert running.stdout
    try:
        line = running.stdout.readline()
        yield int(line.split("127.0.0.1:")[1].split()[0])
    finally:
        running.terminate()
        running.wait(10)
        running.stdout.close()


def push(image: Path, name: str, certificates: Path) -> None:
    """Copies an image to the registry. Tries three times, as a reset connection ends `kubectl port-forward`."""
    for attempt in range(3):
        with forwarded("registry", "registry", 5000) as port:
            copy = ["skopeo", "copy", "--insecure-policy", f"--dest-cert-dir={certificates}", f"oci-archive:{image}"]
            done = subprocess.run([*copy, f"docker://localhost:{port}/{name}"], check=attempt == 2, timeout=60)
        if done.returncode == 0:
            return


def test_an_image_that_was_pushed_is_pulled_by_a_node(up: Up, namespace: Namespace, tmp_path: Path) -> None:
    up("registry")
    word = secrets.token_hex(8)
    (tmp_path / "word").write_text(word)
    base = agnhost_image()
    image = archive.Image(("pushed",), {**base.files, "word": tmp_path / "word"}, ("cat", "/word"), links=base.links)
    archive.save(image, tmp_path / "image.tar")
    tag = secrets.token_hex(4)
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    (certificates / "ca.crt").write_bytes((layout.FOLDER / "pki" / "cluster-ca.crt").read_bytes())
    push(tmp_path / "image.tar", f"pushed:{tag}", certificates)
    namespace.pod("pulled", wait=False, restartPolicy="Never", container={"image": f"{REGISTRY_HOST}/pushed:{tag}"})
    until(lambda: phase(namespace, "pulled") == "Succeeded", limit=60, what="the end of the pod")
    from lab.kubectl import kubectl

    assert kubectl("logs", "pulled", f"-n{namespace.name}") == word


def test_an_object_is_put_and_got_with_the_key_and_not_without(up: Up, namespace: Namespace) -> None:
    up("minio")
    namespace.pod("client")
    keys = {name: _decoded(value) for name, value in get("secret", "keys", namespace="minio")["data"].items()}
    user = f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}"
    bucket, word = f"b{secrets.token_hex(4)}", secrets.token_hex(8)
    ask = ("curl", "-sS", "-f", "-m", "10", "--aws-sigv4", "aws:amz:us-east-1:s3", "-H", UNSIGNED, "--user")
    address = f"http://minio.minio.svc:9000/{bucket}"
    assert namespace.execute("client", *ask, user, "-X", "PUT", address).returncode == 0
    put = namespace.execute("client", *ask, user, "-X", "PUT", "--data-raw", word, f"{address}/object")
    assert put.returncode == 0, put.stderr
    assert namespace.execute("client", *ask, user, f"{address}/object").stdout == word
    refused = namespace.execute("client", *ask, "lab:wrong", f"{address}/object")
    assert "403" in refused.stderr


def _decoded(value: str) -> str:
    import base64

    return base64.b64decode(value).decode()
