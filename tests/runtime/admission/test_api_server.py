"""A real API server that asks the webhook, with the configurations that are rendered for it. There are no nodes."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.policy.admission.webhook import Asked
from plimsoll.policy.admission.webhook import webhook as rendered
from plimsoll.signing.serving_certificates import Authority
from tests.servers import free_port, wait_for_port

from .conftest import Shop, Webhook, webhook
from .test_webhook import KINDS, of_kind, pod_spec

pytestmark = [pytest.mark.slow, pytest.mark.series, pytest.mark.timeout(240)]
TOKEN = "of-the-test"
PLACES = {
    "Pod": "/api/v1/namespaces/shop/pods",
    "Job": "/apis/batch/v1/namespaces/shop/jobs",
    "CronJob": "/apis/batch/v1/namespaces/shop/cronjobs",
}


class ApiServer:
    """Requests to the API server as its administrator."""

    def __init__(self, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def send(self, method: str, path: str, content: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        body = json.dumps(content).encode() if content is not None else None
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def made(self, path: str, content: Any) -> Any:
        status, answer = self.send("POST", path, content)
        assert status == 201, answer
        return answer

    def why(self, path: str, content: Any) -> str:
        """Why an object is refused; empty when it is stored."""
        status, answer = self.send("POST", path, content)
        return "" if status == 201 else str(answer["message"])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    etcd, kubernetes = folder_of(BY_NAME["etcd"]) / "etcd", folder_of(BY_NAME["kubernetes"]) / "kube-apiserver"
    if not (etcd.exists() and kubernetes.exists()):
        pytest.skip("needs Kubernetes: python -m lab.build etcd kubernetes")
    place = tmp_path_factory.mktemp("api")
    (place / "tokens.csv").write_text(f"{TOKEN},ana,1,system:masters\n")
    key = rsa.generate_private_key(65537, 2048)
    formats = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (place / "accounts.pem").write_bytes(key.private_bytes(*formats))
    client, peer, port = free_port(), free_port(), free_port()
    at, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    store = [str(etcd), "--data-dir", str(place / "etcd"), "--unsafe-no-fsync", "--log-level", "error"]
    store += ["--listen-client-urls", at, "--advertise-client-urls", at, "--listen-peer-urls", peers]
    store += ["--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}"]
    server = [str(kubernetes), "--etcd-servers", at, "--secure-port", str(port), "--bind-address", "127.0.0.1"]
    server += ["--cert-dir", str(place / "certificates"), "--token-auth-file", str(place / "tokens.csv")]
    server += ["--service-account-issuer", "https://test", "--service-account-key-file", str(place / "accounts.pem")]
    server += ["--service-account-signing-key-file", str(place / "accounts.pem")]
    server += ["--disable-admission-plugins", "ServiceAccount", "--authorization-mode", "RBAC"]
    server += ["--service-cluster-ip-range", "10.0.0.0/24"]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command, listens in (("etcd", store, client), ("server", server, port)):
            with (place / f"{name}.log").open("wb") as log:
                environment = {"PATH": os.environ["PATH"], "HOME": str(place)}
                processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
            wait_for_port(listens, processes[-1])
        found = ApiServer(port)
        deadline = time.monotonic() + 60
        while found.send("GET", "/api/v1/namespaces/default")[0] != 200:
            assert time.monotonic() < deadline, (place / "server.log").read_text()[-2000:]
            time.sleep(0.2)
        yield found
    finally:
        for each in reversed(processes):
            each.kill()
            each.wait()


@pytest.fixture(scope="module")
def guarded(api: ApiServer, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webhook]:
    """The namespace `shop`, in which the API server asks the webhook."""
    authority = Authority.new()
    asked = Asked(
        namespace="plimsoll-admission",
        guarded=("shop",),
        image="registry.example/plimsoll/runtime",
        registries=(shop.name,),
        keys=shop.keys.files(),
        authority=authority.certificate,
        certificate=b"c",
        key=b"k",
    )
    for name in ("shop", "elsewhere", "plimsoll-admission"):
        api.made("/api/v1/namespaces", {"metadata": {"name": name}})
    with webhook(tmp_path_factory.mktemp("tls"), shop.keys.trusted, (shop.name,), authority=authority) as hook:
        for each in rendered(asked):
            if each["kind"].endswith("WebhookConfiguration"):
                # The only change: without nodes there is no service to lead to the webhook.
                client = each["webhooks"][0]["clientConfig"]
                client["url"] = f"https://localhost:{hook.port}{client.pop('service')['path']}"
                plural = each["kind"].lower() + "s"
                api.made(f"/apis/admissionregistration.k8s.io/v1/{plural}", each)
        wait_until_asked(api, shop)
        yield hook


def wait_until_asked(api: ApiServer, shop: Shop) -> None:
    """The API server takes new configurations within a second or so."""
    deadline = time.monotonic() + 30
    while not api.why(PLACES["Pod"] + "?dryRun=All", of_kind("Pod", shop.unsigned)):
        assert time.monotonic() < deadline, "the API server asks no webhook"
        time.sleep(0.2)


def complete(kind: str, image: str, name: str) -> dict[str, Any]:
    """An object that the API server itself has nothing against."""
    made = of_kind(kind, image)
    made["metadata"] = {"name": name}
    spec = made["spec"]
    if kind in {"Job", "CronJob"}:
        job = spec if kind == "Job" else spec["jobTemplate"]["spec"]
        job["template"]["spec"]["restartPolicy"] = "Never"
        if kind == "CronJob":
            spec["schedule"] = "0 * * * *"
    elif kind != "Pod":
        spec["selector"] = {"matchLabels": {"a": "b"}}
        spec["template"]["metadata"] = {"labels": {"a": "b"}}
    return made


@pytest.mark.parametrize("kind", [each for each in KINDS if each not in {"JobSet", "LeaderWorkerSet"}])
def test_the_api_server_stores_what_is_signed_and_nothing_else(
    api: ApiServer, guarded: Webhook, shop: Shop, kind: str
) -> None:
    place = PLACES.get(kind, f"/apis/apps/v1/namespaces/shop/{kind.lower()}s")
    assert api.why(place, complete(kind, shop.signed, f"good-{kind.lower()}")) == ""
    told = api.why(place, complete(kind, shop.unsigned, f"bad-{kind.lower()}"))
    assert "refused by Plimsoll" in told
    assert "it is not signed" in told


def test_a_tag_is_stored_as_the_digest_that_was_verified(api: ApiServer, guarded: Webhook, shop: Shop) -> None:
    stored = api.made(PLACES["Pod"], complete("Pod", f"{shop.name}:good", "tagged"))

    assert stored["spec"]["containers"][0]["image"] == f"{shop.name}:good@{shop.good}"


def test_a_running_pod_is_given_no_unsigned_container_and_no_other_image(
    api: ApiServer, guarded: Webhook, shop: Shop
) -> None:
    api.made(PLACES["Pod"], complete("Pod", shop.signed, "running"))
    merge, place = "application/strategic-merge-patch+json", f"{PLACES['Pod']}/running"

    def patched(path: str, spec: Any) -> tuple[int, str]:
        status, answer = api.send("PATCH", path, {"spec": spec}, merge)
        return status, str(answer.get("message", ""))

    def debug(image: str) -> Any:
        return {"ephemeralContainers": [{"name": "debug", "image": image}]}

    status, told = patched(f"{place}/ephemeralcontainers", debug(shop.unsigned))
    assert (status, "it is not signed" in told) == (403, True)
    assert patched(f"{place}/ephemeralcontainers", debug(f"{shop.name}:good"))[0] == 200
    status, told = patched(place, {"containers": [{"name": "c0", "image": shop.unsigned}]})
    assert (status, "it is not signed" in told) == (403, True)


def test_a_model_that_is_mounted_is_judged(api: ApiServer, guarded: Webhook, shop: Shop) -> None:
    def mounting(reference: str, name: str) -> Any:
        made = complete("Pod", shop.signed, name)
        made["spec"] = pod_spec(shop.signed, volumes=[{"name": "model", "image": {"reference": reference}}])
        return made

    assert api.why(PLACES["Pod"], mounting(f"{shop.name}:good", "model")) == ""
    assert "spec.volumes[0].image.reference" in api.why(PLACES["Pod"], mounting(f"{shop.name}:bad", "poison"))


def test_other_namespaces_are_left_alone(api: ApiServer, guarded: Webhook, shop: Shop) -> None:
    place = PLACES["Pod"].replace("shop", "elsewhere")

    assert api.why(place, complete("Pod", shop.unsigned, "free")) == ""


def test_nothing_new_is_stored_while_the_webhook_is_down(api: ApiServer, guarded: Webhook, shop: Shop) -> None:
    place = (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/plimsoll-admission-plimsoll-admission"
    )
    _, before = api.send("GET", place)
    down = json.loads(json.dumps(before))
    down["webhooks"][0]["clientConfig"]["url"] = "https://localhost:1/judge"
    assert api.send("PUT", place, down)[0] == 200
    try:
        deadline = time.monotonic() + 30
        name = 0
        while not (told := api.why(PLACES["Pod"] + "?dryRun=All", complete("Pod", shop.signed, f"down-{name}"))):
            assert time.monotonic() < deadline
            name += 1
        assert "failed calling webhook" in told
    finally:
        _, now = api.send("GET", place)
        now["webhooks"][0]["clientConfig"] = before["webhooks"][0]["clientConfig"]
        assert api.send("PUT", place, now)[0] == 200


def test_the_objects_are_those_that_the_api_server_knows(api: ApiServer, guarded: Webhook, shop: Shop) -> None:
    authority = Authority.new()
    issued = authority.issue(("x",))
    asked = Asked(
        namespace="plimsoll-admission",
        guarded=("nowhere",),
        image="registry.example/plimsoll/runtime",
        registries=(shop.name,),
        keys=shop.keys.files(),
        authority=authority.certificate,
        certificate=issued.certificate,
        key=issued.key,
        secret="login",
        registry_ca="pem",
    )
    for each in rendered(asked):
        if each["kind"].endswith("Configuration"):
            continue
        group = "/api/v1" if each["apiVersion"] == "v1" else f"/apis/{each['apiVersion']}"
        kind = each["kind"].lower() + "s"
        path = f"{group}/namespaces/plimsoll-admission/{kind}?dryRun=All&fieldValidation=Strict"
        assert api.why(path, each) == "", each["kind"]
