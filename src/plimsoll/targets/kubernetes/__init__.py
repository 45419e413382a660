"""A Kubernetes cluster, by a context of the user's kubeconfig."""
