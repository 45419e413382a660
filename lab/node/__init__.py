"""A node: a machine that runs containerd, kubelet and kube-proxy, with its own disk, /dev and network."""
