"""A node: containerd, kubelet and kube-proxy on a machine with a disk, a /dev and a network of its own."""
