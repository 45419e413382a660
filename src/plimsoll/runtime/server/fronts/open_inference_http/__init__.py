"""The Open Inference Protocol v2 over HTTP, with its extensions for binary tensors and for the model repository.

`resources` finds what a path names, `codec` reads and writes tensors, `front` calls the data plane.
"""
