"""Code that runs inside processes and pods: framework contracts, rendezvous, inference server, batch scorer."""
