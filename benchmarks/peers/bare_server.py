"""The least that a server on this machine can do with an image: receive it into place, run it, send ten numbers back.

`bare_server.py MODEL PORT` reads no more of HTTP than where the tensor begins, answers nothing else, checks nothing.
"""

import re
import selectors
import socket
import sys

import numpy as np
import onnxruntime

SHAPE = (1, 3, 224, 224)
LENGTH = re.compile(rb"inference-header-content-length: *(\d+)", re.IGNORECASE)

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
tensors: dict[socket.socket, np.ndarray] = {}
received: dict[socket.socket, int] = {}


def receive(client: socket.socket) -> bool:
    """Whether a whole tensor has come."""
    memory = tensors[client].data.cast("B")
    if client not in received:
        try:
            head, _, body = client.recv(4096).partition(b"\r\n\r\n")
        except ConnectionResetError:
            # The client has left with an answer unread.
            head = b""
        if not head:
            selector.unregister(client)
            client.close()
            return False
        found = LENGTH.search(head)
        begun = body[int(found[1]) :] if found else body
        memory[: len(begun)] = begun
        received[client] = len(begun)
        return False
    received[client] += client.recv_into(memory[received[client] :])
    return received[client] == len(memory)


while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tensors[connection] = np.empty(SHAPE, np.float32)
            selector.register(connection, selectors.EVENT_READ)
        elif receive(key.fileobj):
            answer = session.run(None, {"x": tensors[key.fileobj]})[0].tobytes()
            del received[key.fileobj]
            key.fileobj.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
