"""Cheats with JobSet: a webhook that is not the operator's own, or a controller that does not work."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab import layout
from lab.cheats import admission
from lab.cheats.client import Client, again_and_again
from lab.cheats.scene import Scene
from lab.errors import LabError
from lab.files import write
from lab.kubectl import get, kubectl, rolled_out, wait

NAMESPACE, CONTROLLER = "jobset-system", "jobset-controller-manager"
_CONFIGURATION = "jobset-validating-webhook-configuration"
_SERVICE, _PORT = "jobset-webhook-service", 9443
_API = "/apis/jobset.x-k8s.io/v1alpha2"


def on(scene: Scene) -> None:
    """Switch the cheat on."""
    {
        "dead-webhook": silence_webhook,
        "other-engine": _other_engine,
        "idle-operator": _idle,
        "mortal-operator": _mortal,
    }[scene.name](scene)


def silence_webhook(scene: Scene) -> None:
    """Point the operator's webhook at a service that does not exist, and ignore its failures."""
    found = get("validatingwebhookconfiguration", _CONFIGURATION)
    for hook in found["webhooks"]:
        hook["failurePolicy"] = "Ignore"
        hook["clientConfig"]["service"]["name"] = "jobset-webhook-nowhere"
    scene.change("validatingwebhookconfiguration", _CONFIGURATION, {"webhooks": found["webhooks"]})


def _other_engine(scene: Scene) -> None:
    """Let a program on the control plane refuse objects with the operator's service and certificate."""
    secret = get("secret", "jobset-webhook-server-cert", namespace=NAMESPACE)["data"]
    for name in ("tls.crt", "tls.key"):
        write(scene.folder / name, base64.b64decode(secret[name]), mode=0o600)
    scene.run("operators", scene.name, str(scene.folder / "tls.crt"), str(scene.folder / "tls.key"))
    take_over(scene, _SERVICE, NAMESPACE, _PORT, "")
    _wait_for_webhook()


def take_over(scene: Scene, service: str, namespace: str, port: int, name: str) -> None:
    """Point a service of pods at the control plane's machine."""
    scene.change("service", service, {"spec": {"selector": None}}, namespace)
    # Slices of the old selector would remain, and an Endpoints object would restore them.
    kubectl("delete", "endpoints", service, f"-n{namespace}", "--ignore-not-found")
    kubectl("delete", "endpointslices", f"-n{namespace}", f"-lkubernetes.io/service-name={service}")
    impostor = endpoints(service, namespace, port, name)
    impostor["metadata"]["name"] = f"{service}-impostor"
    scene.make(impostor)


def endpoints(service: str, namespace: str, port: int, name: str) -> dict[str, Any]:
    """An EndpointSlice that points a service at the control plane's machine."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(layout.CONTROL_PLANE_ADDRESS)], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
    }


def _idle(scene: Scene) -> None:
    """Suspend the Jobs of JobSets, and let a process mark each JobSet as completed."""
    admission.suspend_jobs(scene)
    scene.run("operators", scene.name)


def _mortal(scene: Scene) -> None:
    """Run the controller as a bare pod, which nothing restarts."""
    found = get("deployment", CONTROLLER, namespace=NAMESPACE)
    template = found["spec"]["template"]
    scene.change("deployment", CONTROLLER, {"spec": {"replicas": 0}}, NAMESPACE)
    rolled_out(NAMESPACE, f"deployment/{CONTROLLER}")
    scene.make(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "jobset-controller-alone",
                "namespace": NAMESPACE,
                "labels": template["metadata"]["labels"],
            },
            "spec": template["spec"],
        }
    )
    kubectl(
        "wait", "--for=condition=Ready", "pod/jobset-controller-alone", f"-n{NAMESPACE}", "--timeout=90s", limit=100
    )


def off(scene: Scene) -> None:
    """Wait until the operator's webhook refuses a wrong JobSet again."""
    rolled_out(NAMESPACE, f"deployment/{CONTROLLER}")
    _wait_for_webhook()


def _wait_for_webhook() -> None:
    """Wait until the program behind the webhook refuses a wrong JobSet."""
    manifest = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "nobody", "namespace": "default"},
        "spec": {"replicatedJobs": [], "successPolicy": {"operator": "All", "targetReplicatedJobs": ["nobody"]}},
    }

    def not_refusing() -> str | None:
        try:
            kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
        except LabError as error:
            return None if "denied the request" in str(error) else str(error)
        return "it accepts a wrong JobSet"

    wait("JobSet's webhook", not_refusing, 90)


def _complete(client: Client) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = {
        "type": "Completed",
        "status": "True",
        "reason": "AllJobsCompleted",
        "message": "",
        "lastTransitionTime": now,
    }
    for each in client.items(f"{_API}/jobsets"):
        metadata = each["metadata"]
        if not any(one["type"] == "Completed" for one in each.get("status", {}).get("conditions", [])):
            place = f"{_API}/namespaces/{metadata['namespace']}/jobsets/{metadata['name']}/status"
            client.ask("PATCH", place, {"status": {"conditions": [done]}})


class _Impostor(BaseHTTPRequestHandler):
    """Answers admission reviews: refuses a JobSet that names an unknown job, in words like the operator's."""

    def do_POST(self) -> None:
        """Answer one review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        spec = (request.get("object") or {}).get("spec", {})
        jobs = {each["name"] for each in spec.get("replicatedJobs", [])}
        wanted = spec.get("successPolicy", {}).get("targetReplicatedJobs", [])
        unknown = [each for each in wanted if each not in jobs and self.path.startswith("/validate")]
        answer: dict[str, Any] = {"uid": request["uid"], "allowed": not unknown}
        if unknown:
            answer["status"] = {"message": f"invalid replicatedJob name '{unknown[0]}'"}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve_tls(handler: type[BaseHTTPRequestHandler], port: int, certificate: Path, key: Path) -> None:
    """Serve on the control plane's address until the process is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), port), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "idle-operator":
        again_and_again(_complete)
    else:
        serve_tls(_Impostor, _PORT, *map(Path, sys.argv[2:]))
