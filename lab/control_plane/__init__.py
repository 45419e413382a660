"""The control plane: etcd, API server, controller manager and scheduler on one machine."""
