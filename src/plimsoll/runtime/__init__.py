"""What runs inside a process or a pod: framework contracts, rendezvous, the inference server, the batch scorer."""
