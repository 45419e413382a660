"""etcd, API server, controller manager and scheduler: the machine that decides."""
