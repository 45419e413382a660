"""What images are called. Upstream's names where upstream has the same thing, so that its manifests find them."""

REGISTRY = "lab.plimsoll.dev"
PAUSE = "registry.k8s.io/pause:3.10.1"
# One static binary that serves, dials, echoes and waits, as upstream's own end-to-end tests use it, and a shell.
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"
