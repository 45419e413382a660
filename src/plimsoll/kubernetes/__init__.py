"""The Kubernetes API: client, kubeconfig, port-forward, what a cluster has. Knows nothing of applications or probes."""
