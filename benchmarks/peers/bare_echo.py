"""The least that a server on this machine can do at all: the same two bytes to whatever comes in one packet.

`bare_echo.py PORT`: its latencies are those of the machine and the client.
"""

import gc
import select
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def received(client: socket.socket) -> bytes:
    """What has come; nothing from a client that has left, also with an answer unread."""
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


gc.disable()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
poll = select.epoll()
poll.register(listener, select.EPOLLIN)
clients: dict[int, socket.socket] = {}
while True:
    for number, _ in poll.poll():
        if number == listener.fileno():
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients[client.fileno()] = client
            poll.register(client, select.EPOLLIN)
        elif received(clients[number]):
            clients[number].sendall(ANSWER)
        else:
            poll.unregister(number)
            clients.pop(number).close()
