"""The inference server: Open Inference Protocol v2 over HTTP and gRPC, ONNX Runtime inside.

From the socket inwards: `connection` (HTTP/1.1) and `grpc_server` → `application` (resources, statuses, limits) →
`catalog` (which version) → `exchange` (bytes to tensors and back) → `served` and `batching` (where it is computed).
`worker` is one process of that, `supervisor` keeps as many as there is work for; `observers` is the seam for whoever
watches.
"""
