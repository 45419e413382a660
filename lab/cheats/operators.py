"""JobSet with a webhook that is not its own, or with a controller that does not work."""

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
from lab.cheats.active import ActiveCheat
from lab.cheats.client import AdminClient, run_forever
from lab.errors import LabError
from lab.files import write
from lab.kubectl import get, kubectl, wait, wait_for_rollout

NAMESPACE, CONTROLLER = "jobset-system", "jobset-controller-manager"
_CONFIGURATION = "jobset-validating-webhook-configuration"
_SERVICE, _PORT = "jobset-webhook-service", 9443
_API = "/apis/jobset.x-k8s.io/v1alpha2"


def on(cheat: ActiveCheat) -> None:
    """Makes the changes of the cheat."""
    {
        "dead-webhook": silence_webhook,
        "other-engine": _other_engine,
        "idle-operator": _idle_operator,
        "mortal-operator": _mortal_operator,
    }[cheat.name](cheat)


def silence_webhook(cheat: ActiveCheat) -> None:
    """Points the operator's webhook to a service that does not exist, and ignores its failures."""
    found = get("validatingwebhookconfiguration", _CONFIGURATION)
    for hook in found["webhooks"]:
        hook["failurePolicy"] = "Ignore"
        hook["clientConfig"]["service"]["name"] = "jobset-webhook-nowhere"
    cheat.patch("validatingwebhookconfiguration", _CONFIGURATION, {"webhooks": found["webhooks"]})


def _other_engine(cheat: ActiveCheat) -> None:
    """Starts a webhook on the control plane that denies like the operator, with its Service and certificate."""
    secret = get("secret", "jobset-webhook-server-cert", namespace=NAMESPACE)["data"]
    for name in ("tls.crt", "tls.key"):
        write(cheat.folder / name, base64.b64decode(secret[name]), mode=0o600)
    cheat.start_process("operators", cheat.name, str(cheat.folder / "tls.crt"), str(cheat.folder / "tls.key"))
    redirect_service(cheat, _SERVICE, NAMESPACE, _PORT, "")
    _wait_for_webhook()


def redirect_service(cheat: ActiveCheat, service: str, namespace: str, port: int, name: str) -> None:
    """Redirects a Service from its pods to the machine of the control plane."""
    cheat.patch("service", service, {"spec": {"selector": None}}, namespace)
    # Slices from the selector would stay, and an Endpoints object would create them again.
    kubectl("delete", "endpoints", service, f"-n{namespace}", "--ignore-not-found")
    kubectl("delete", "endpointslices", f"-n{namespace}", f"-lkubernetes.io/service-name={service}")
    impostor = endpoint_slice(service, namespace, port, name)
    impostor["metadata"]["name"] = f"{service}-impostor"
    cheat.create(impostor)


def endpoint_slice(service: str, namespace: str, port: int, name: str) -> dict[str, Any]:
    """An EndpointSlice that points a Service to the machine of the control plane."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(layout.CONTROL_PLANE_ADDRESS)], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": port, "protocol": "TCP"}],
    }


def _idle_operator(cheat: ActiveCheat) -> None:
    """Suspends the Jobs of JobSets, and starts a process that marks each JobSet as completed."""
    admission.suspend_jobs(cheat)
    cheat.start_process("operators", cheat.name)


def _mortal_operator(cheat: ActiveCheat) -> None:
    """Runs the controller as a bare pod, which nothing recreates."""
    found = get("deployment", CONTROLLER, namespace=NAMESPACE)
    template = found["spec"]["template"]
    cheat.patch("deployment", CONTROLLER, {"spec": {"replicas": 0}}, NAMESPACE)
    wait_for_rollout(NAMESPACE, f"deployment/{CONTROLLER}")
    cheat.create(
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


def off(cheat: ActiveCheat) -> None:
    """Waits until the operator's webhook answers again."""
    wait_for_rollout(NAMESPACE, f"deployment/{CONTROLLER}")
    _wait_for_webhook()


def _wait_for_webhook() -> None:
    """Waits until the webhook denies a wrong JobSet, whichever program serves it."""
    manifest = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "nobody", "namespace": "default"},
        "spec": {"replicatedJobs": [], "successPolicy": {"operator": "All", "targetReplicatedJobs": ["nobody"]}},
    }

    def silent() -> str | None:
        try:
            kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
        except LabError as error:
            return None if "denied the request" in str(error) else str(error)
        return "the webhook denies nothing"

    wait("JobSet's webhook", silent, 90)


def _mark_completed(client: AdminClient) -> None:
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
            client.request("PATCH", place, {"status": {"conditions": [done]}})


class _FakeWebhook(BaseHTTPRequestHandler):
    """A webhook that denies a JobSet with an unknown job name, with a message like the operator's."""

    def do_POST(self) -> None:
        """Answers one admission review."""
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
    """Serves on the control plane's address until the process is killed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer((str(layout.CONTROL_PLANE_ADDRESS), port), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "idle-operator":
        run_forever(_mark_completed)
    else:
        serve_tls(_FakeWebhook, _PORT, *map(Path, sys.argv[2:]))
