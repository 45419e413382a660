"""A Python process that answers whatever comes with the same two bytes, while another of its threads computes.

`busy_echo.py PORT`: a packet that begins with `GET /busy` has the other thread compute, `GET /idle` has it wait. A
client that waits for an answer waits for the machine, and for the interpreter, whose threads take turns.
"""

import select
import socket
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
busy = threading.Event()


def compute() -> None:
    while busy.wait():
        sum(range(1000))


threading.Thread(target=compute, daemon=True).start()
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
        elif asked := clients[number].recv(65536):
            if asked.startswith((b"GET /busy", b"GET /idle")):
                (busy.set if asked.startswith(b"GET /busy") else busy.clear)()
            clients[number].sendall(ANSWER)
        else:
            poll.unregister(number)
            clients.pop(number).close()
