"""Wire formats over the data plane: each front parses its own, calls `DataPlane`, and maps refusals to its statuses.

`open_inference_http` and `open_inference_grpc` are the two of the Open Inference Protocol v2. A front over HTTP shares
the server's port with the others: it is a `front.HttpFront` and a line in `table.HTTP_FRONTS`. A front with a transport
of its own takes a port of its own, as gRPC does; `worker` starts it.
"""
