"""The Open Inference Protocol v2 over gRPC, on a port of its own: the same data plane as over HTTP.

`server` takes the port and maps refusals to statuses, `calls` has the protocol's calls, `messages` reads and writes
tensors.
"""
