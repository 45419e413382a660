"""The inference server: Open Inference Protocol v2 over HTTP and gRPC, ONNX Runtime inside.

A request's way: `connection` (HTTP/1.1) → `fronts.mount` → a front (its wire format) → `data_plane` → `catalog` (which
version answers) → `served` and `batching` (where it is computed). gRPC is a front with a port of its own. `refusals`
are the reasons for which the data plane does not answer. `worker` is one process; `supervisor` starts and ends as many
as the load needs. `observers` is the interface for drift, logs, traces and explanations.
"""
