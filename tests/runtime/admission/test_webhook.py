"""The webhook of admission by real reviews over HTTPS: what no trusted key has signed is refused, however it is named."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plimsoll.registry.cosign import sign_artifact
from plimsoll.registry.layout import MANIFEST
from plimsoll.runtime.admission.images import MOST_DEPTH
from plimsoll.runtime.admission.serving import MOST_BYTES
from plimsoll.signing.conditions import Conditions
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.revocation import revoke
from plimsoll.signing.serving_certificates import Authority
from tests.registry.test_cosign import pushed, trusted_by

from .conftest import Shop, Webhook, renew, webhook


def pod_spec(*images: str, **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"containers": containers, **more}


def pod(*images: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod_spec(*images, **more)}


def of_kind(kind: str, image: str) -> dict[str, Any]:
    """An object of a kind whose pods run an image."""
    template = {"template": {"spec": pod_spec(image)}}
    specs: dict[str, Any] = {
        "Pod": pod_spec(image),
        "CronJob": {"jobTemplate": {"spec": template}},
        "JobSet": {"replicatedJobs": [{"name": "a", "template": {"spec": template}}]},
        "LeaderWorkerSet": {"leaderWorkerTemplate": {"workerTemplate": {"spec": pod_spec(image)}}},
    }
    return {"kind": kind, "metadata": {"name": "x"}, "spec": specs.get(kind, template)}


KINDS = ("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "JobSet", "LeaderWorkerSet")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_admitted_signed_and_refused_unsigned(hook: Webhook, shop: Shop, kind: str) -> None:
    assert hook.why(of_kind(kind, shop.signed)) == ""
    told = hook.why(of_kind(kind, shop.unsigned))
    assert "it is not signed" in told
    assert "image: " in told


def test_the_template_of_pods_is_judged_too(hook: Webhook, shop: Shop) -> None:
    template = {"kind": "PodTemplate", "metadata": {}, "template": {"spec": pod_spec(shop.unsigned)}}

    assert "not signed" in hook.why(template)


@pytest.mark.parametrize("where", ["initContainers", "ephemeralContainers"])
def test_containers_of_every_kind_are_judged(hook: Webhook, shop: Shop, where: str) -> None:
    others = [{"name": "s", "image": shop.unsigned}]

    assert f"spec.{where}[0].image" in hook.why(pod(shop.signed, **{where: others}))


def test_a_container_that_is_added_to_a_running_pod_is_judged(hook: Webhook, shop: Shop) -> None:
    added = pod(shop.signed, ephemeralContainers=[{"name": "debug", "image": shop.unsigned}])

    told = hook.why(added, operation="UPDATE", oldObject=pod(shop.signed), subResource="ephemeralcontainers")

    assert "spec.ephemeralContainers[0].image" in told


def test_a_model_in_an_image_volume_is_judged(hook: Webhook, shop: Shop) -> None:
    def with_model(reference: str) -> Any:
        return pod(shop.signed, volumes=[{"name": "model", "image": {"reference": reference}}])

    assert hook.why(with_model(shop.signed)) == ""
    assert "spec.volumes[0].image.reference" in hook.why(with_model(shop.unsigned))


def test_an_update_that_changes_no_image_is_admitted(hook: Webhook, shop: Shop) -> None:
    """A pod from before may lose its finalizers, whatever it runs."""
    old = pod(shop.unsigned)

    assert hook.why({**old, "metadata": {"name": "p", "finalizers": []}}, operation="UPDATE", oldObject=old) == ""
    assert "not signed" in hook.why(old, operation="UPDATE", oldObject=pod(shop.signed))


def test_a_tag_is_pinned_to_the_digest_that_was_verified(hook: Webhook, shop: Shop) -> None:
    tagged = f"{shop.name}:good"

    answer = hook.review(pod(tagged, shop.signed), path="/pin")

    assert answer["allowed"]
    assert answer["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(answer["patch"])) == [
        {"op": "replace", "path": "/spec/containers/0/image", "value": f"{tagged}@{shop.good}"}
    ]
    assert "not signed" in hook.why(pod(f"{shop.name}:bad"), path="/pin")


def test_a_pod_that_was_not_pinned_is_refused_and_a_template_with_a_tag_is_judged_by_what_it_means(
    hook: Webhook, shop: Shop
) -> None:
    assert "has no digest" in hook.why(pod(f"{shop.name}:good"))
    assert hook.why(of_kind("Deployment", f"{shop.name}:good")) == ""
    assert "not signed" in hook.why(of_kind("Deployment", f"{shop.name}:bad"))


def test_cheats_by_the_name_of_an_image_are_refused(hook: Webhook, shop: Shop) -> None:
    host, _, port = shop.registry.partition(":")
    cheats = {
        f"LOCALHOST:{port}/team/application/shop@{shop.good}": "has capitals",
        f"{shop.name}:good@{shop.bad}": "not signed",
        f"{host}:1/team/application/shop@{shop.good}": "may not come from there",
        f"{shop.name}-evil@{shop.good}": "may not come from there",
        f"evil.example/team/application/shop@{shop.good}": "may not come from there",
        f"{shop.name}/../evil@{shop.good}": "cannot be a repository",
        f"{shop.name}@sha256:{'0' * 64}": "not signed",
        f"{shop.name}@{shop.good.upper()}": "not a SHA-256 digest",
        f"{shop.name}@md5:00": "not a SHA-256 digest",
        f" {shop.signed}": "refused",
        f"{shop.signed}\n": "refused",
        "": "there is no image",
        "busybox": "may not come from there",
        f"{shop.name}:nothing": "there is no manifest",
        "a" * 5000: "refused",
    }
    for image, told in cheats.items():
        assert told in hook.why(of_kind("Deployment", image)), image
        assert hook.why(pod(shop.signed, image)), image


def test_an_image_that_is_no_text_is_refused(hook: Webhook, shop: Shop) -> None:
    for image in (None, 7, ["a"], {"a": 1}):
        broken = pod(shop.signed)
        broken["spec"]["containers"].append({"name": "x", "image": image})
        assert "there is no image" in hook.why(broken)


@pytest.mark.slow
def test_what_a_wrong_or_a_withdrawn_key_has_signed_is_refused(shop: Shop, tmp_path: Path) -> None:
    """One webhook, whose keys change under it: as a mounted ConfigMap does."""
    stranger = KeyRing(tmp_path / "stranger")
    wrong = pushed(shop.repository, b"wrong", tag="wrong")
    sign_artifact(shop.repository, wrong, stranger)
    ours = trusted_by(KeyRing(tmp_path / "ours"), shop.keys)
    with webhook(tmp_path / "tls", ours.trusted, (shop.name,)) as hook:
        assert "no key that is trusted here" in hook.why(pod(f"{shop.name}@{wrong}"))
        assert hook.why(pod(shop.signed)) == ""

        ours.set_conditions(shop.keys.own_id(), Conditions(expires=datetime.now(UTC) - timedelta(seconds=1)))
        assert "expired on" in hook.why(pod(shop.signed))

        ours.set_conditions(shop.keys.own_id(), Conditions())
        assert hook.why(pod(shop.signed)) == ""
        revoke(ours, shop.keys.own_id(), "compromised")
        assert "was revoked on" in hook.why(pod(shop.signed))


def test_an_altered_image_is_refused(shop: Shop, hook: Webhook) -> None:
    """The tag of a signed image is moved to an altered one, and the signature is hung onto it."""
    altered = pushed(shop.repository, b"altered", tag="moved")
    signature = shop.repository.manifest(f"{shop.good.replace(':', '-')}.sig").content
    shop.repository.push_manifest(signature, MANIFEST, tag=f"{altered.replace(':', '-')}.sig")

    assert "about another digest" in hook.why(of_kind("Deployment", f"{shop.name}:moved"))


@pytest.mark.slow
def test_an_image_that_was_rolled_back_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A tag is moved back to an older image, which was signed in its time."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    with webhook(tmp_path / "tls", shop.keys.trusted, (shop.name,), "--since", later) as hook:
        assert "was rolled back" in hook.why(of_kind("Deployment", f"{shop.name}:good"))
    with webhook(tmp_path / "tls", shop.keys.trusted, (shop.name,), "--since", "2020-01-01") as hook:
        assert hook.why(of_kind("Deployment", f"{shop.name}:good")) == ""


@pytest.mark.slow
@pytest.mark.series
def test_a_registry_that_is_gone_or_silent_admits_nothing(shop: Shop, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with webhook(tmp_path / "tls", shop.keys.trusted, (place, "127.0.0.1:1")) as hook:
            assert "could not be verified within" in hook.why(pod(f"{place}/shop@{shop.good}"))
            assert hook.why(pod(f"127.0.0.1:1/shop@{shop.good}"))


def test_a_registry_that_nodes_know_by_another_name_is_reached_by_ours(shop: Shop, tmp_path: Path) -> None:
    image = shop.signed.replace(shop.registry, "registry.example")
    reached = ("--reached", f"registry.example={shop.registry}")
    with webhook(tmp_path / "tls", shop.keys.trusted, ("registry.example/team",), *reached) as hook:
        assert hook.why(pod(image)) == ""
        assert "not signed" in hook.why(pod(image.replace(shop.good, shop.bad)))


def test_what_is_no_review_is_refused_and_the_webhook_goes_on(hook: Webhook, shop: Shop) -> None:
    for content in (b"", b"[]", b"{", b"\xff", b'{"apiVersion": "v1"}', b"[" * 100_000):
        assert hook.send("/judge", content)[0] == 400
    assert "413" in _raw(hook, f"POST /judge HTTP/1.1\r\nHost: x\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n")
    assert "413" in _raw(hook, f"POST /judge HTTP/1.1\r\nHost: x\r\nContent-Length: {10**11}\r\n\r\n")
    for length in (
        "Content-Length: -1",
        "Content-Length: ٣",
        "Transfer-Encoding: chunked",
        f"Content-Length: {10**40}",
    ):
        assert "411" in _raw(hook, f"POST /judge HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n"), length
    assert "501" in _raw(hook, "NONSENSE / HTTP/1.1\r\n\r\n")
    assert hook.send("/else", b"{}")[0] == 404
    assert hook.send("/judge", b"{}", "PUT")[0] == 501
    assert hook.send("/healthz", b"", "GET")[0] == 200
    deep: Any = pod_spec(shop.signed)
    for _ in range(MOST_DEPTH + 1):
        deep = {"a": deep}
    assert "levels" in hook.why({"kind": "Deployment", "spec": deep})
    assert "more than 128" in hook.why(pod(*[shop.signed] * 200))
    assert "not judged here" in hook.why(pod(shop.signed), operation="DELETE")
    assert hook.why(pod(shop.signed)) == ""


def test_a_client_that_sends_nothing_keeps_nobody_waiting(hook: Webhook, shop: Shop) -> None:
    waiting = [socket.create_connection(("127.0.0.1", hook.port)) for _ in range(50)]
    try:
        assert hook.why(pod(shop.signed)) == ""
    finally:
        for each in waiting:
            each.close()


@pytest.mark.slow
def test_a_request_that_is_sent_too_slowly_is_ended(hook: Webhook, shop: Shop) -> None:
    """One byte now and then is within the limit between two bytes for ever."""
    with hook.connected() as slow:
        began = time.monotonic()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            for byte in b"POST /judge HTTP/1.1\r\nContent-Length: 4000\r\n\r\n" + b" " * 3000:
                slow.send(bytes((byte,)))
                time.sleep(0.2)
                assert time.monotonic() - began < 60
    assert hook.why(pod(shop.signed)) == ""


def test_the_certificate_is_rotated_without_a_restart(shop: Shop, tmp_path: Path) -> None:
    authority = Authority.new()
    with webhook(tmp_path / "tls", shop.keys.trusted, (shop.name,), authority=authority) as hook:
        before = _serial(hook)
        (tmp_path / "tls" / "tls.crt").write_bytes(b"half a certificate")
        assert hook.why(pod(shop.signed)) == ""

        renew(tmp_path / "tls", authority)
        deadline = time.monotonic() + 20
        while (after := _serial(hook)) == before and time.monotonic() < deadline:
            time.sleep(0.1)

        assert after != before
        assert hook.why(pod(shop.signed)) == ""


def test_each_decision_is_a_line_of_the_log(hook: Webhook, shop: Shop) -> None:
    hook.why(pod(shop.unsigned))

    lines = [json.loads(line) for line in hook.log.read_text().splitlines() if line.startswith("{")]
    last = lines[-1]
    assert (last["user"], last["object"], last["allowed"], last["path"]) == ("ana", "Pod shop/p", False, "/judge")
    assert "not signed" in last["refused"]


def test_the_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    first = Authority.kept(tmp_path / "admission")

    assert Authority.kept(tmp_path / "admission").certificate == first.certificate
    assert (tmp_path / "admission" / "authority.pem").stat().st_mode & 0o777 == 0o600


def _raw(hook: Webhook, request: str) -> str:
    """The first line that is answered to bytes."""
    with hook.connected() as secure:
        secure.sendall(request.encode())
        return secure.recv(4096).decode().splitlines()[0]


def _serial(hook: Webhook) -> bytes:
    with hook.connected() as secure:
        found = secure.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found).encode()
