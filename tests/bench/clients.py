# SPDX-License-Identifier: MIT
"""Streaming clients for figures: many of them in one thread, which only notes
when something came, so that they take little of the machine they measure.
"""
import json
import selectors
import socket
import time

EVENT = b"\ndata: {"


class Client:
    """One request; `seen` has the time of each event."""

    def __init__(self, port, body, path="/v1/completions"):
        body = json.dumps({**body, "stream": True}).encode()
        self.start = time.monotonic()
        self.seen = []
        self.tail = b""
        self.is_done = False
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"POST %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
                            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                            % (path.encode(), len(body)) + body)

    def on_readable(self):
        data = self.socket.recv(65536)
        now = time.monotonic()
        text = self.tail + data
        if not self.seen and self.tail == b"" and data and not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data.decode("utf-8", "replace"))
        self.seen += [now] * text.count(EVENT)
        self.tail = text[-len(EVENT) + 1:]
        self.is_done = not data

    def close(self):
        self.socket.close()


def run(clients, until=lambda: False, seconds=120):
    """Read until all have their answers, until() holds, or time is up."""
    with selectors.DefaultSelector() as poll:
        for c in clients:
            if not c.is_done:
                poll.register(c.socket, selectors.EVENT_READ, c)
        end = time.monotonic() + seconds
        while poll.get_map() and time.monotonic() < end and not until():
            for key, _ in poll.select(max(0, min(0.1, end - time.monotonic()))):
                key.data.on_readable()
                if key.data.is_done:
                    poll.unregister(key.fileobj)
                    key.data.close()


def together(port, bodies):
    """Clients that begin at once, with their answers."""
    clients = [Client(port, b) for b in bodies]
    run(clients)
    if not all(c.is_done for c in clients):
        raise RuntimeError("not all answers came")
    return clients


def p95(values):
    return sorted(values)[int(len(values) * 0.95)] if values else 0
