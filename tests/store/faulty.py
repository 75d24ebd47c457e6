"""A proxy on loopback that does to requests what networks and overloaded stores do."""

import contextlib
import http.client
import os
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

from tests.environment import restore

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
ANSWERS = {
    "unavailable": (503, "Service Unavailable", [], SLOW_DOWN),
    "forbidden": (403, "Forbidden", [], b"Invalid Host header"),
    "unauthorised": (401, "Unauthorized", [], b"You are not authenticated"),
    "broken": (500, "Internal Server Error", [], b""),
    "unknown": (501, "Not Implemented", [], b"<Error><Code>NotImplemented</Code></Error>"),
}
CONDITIONS = {"if-match", "if-none-match"}
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "expect"}


class Faults:
    """Says which fault a request meets: the first `times` of every name, or each with a chance; counts both.

    `kinds`: `unavailable` (503), `forbidden` (403), `broken` (500), `unknown` (501, to requests with a
    condition), `drop` (the connection is cut in mid-upload), `hang` (no answer), `truncate` (half of the
    answer, and the connection is cut), `unanswered` (it is done, and the connection is cut), `unconditional`
    (it is done whatever its conditions are).
    """

    def __init__(
        self, kinds, times=None, chance=0.0, seed=0, methods=("GET", "PUT", "POST", "HEAD", "DELETE")
    ):
        self.kinds, self.times, self.chance, self.methods = kinds, times, chance, methods
        self.injected = self.answered = 0
        self._random, self._seen, self._lock = random.Random(seed), {}, threading.Lock()

    def next(self, request):
        with self._lock:
            self.answered += 1
            if request[0] not in self.methods:
                return None
            if self.times is None:
                fault = self._random.choice(self.kinds) if self._random.random() < self.chance else None
            else:
                seen = self._seen[request] = self._seen.get(request, 0) + 1
                fault = self.kinds[0] if seen <= self.times else None
            self.injected += fault is not None
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        fault = self.server.faults.next((self.command, self.path))
        if fault == "unknown" and not CONDITIONS & {key.lower() for key in self.headers}:
            fault = None
        if fault == "guarded" and self.headers.get("Authorization") != self.server.faults.authorization:
            fault = "unauthorised"
        if fault == "drop":
            self.rfile.read(int(self.headers.get("Content-Length", 0)) // 2)
            return self._cut()
        body = self._body()
        if fault == "hang":
            self.server.over.wait()
            return self._cut()
        if fault in ANSWERS:
            return self._answer(*ANSWERS[fault])
        backend = http.client.HTTPConnection(self.server.backend, timeout=60)
        left_out = HOP | (CONDITIONS if fault == "unconditional" else set())
        headers = {key: value for key, value in self.headers.items() if key.lower() not in left_out}
        backend.request(self.command, self.path, body, headers)
        answer = backend.getresponse()
        content = answer.read()
        if fault == "unanswered":
            return self._cut()
        length = answer.headers["Content-Length"] if self.command == "HEAD" else len(content)
        if fault == "truncate":
            content = content[: len(content) // 2]
        self._answer(answer.status, answer.reason, answer.getheaders(), content, length)
        if fault == "truncate":
            self._cut()

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status, reason, headers, content, length=None):
        self.send_response_only(status, reason)
        for key, value in headers:
            if key.lower() not in HOP:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":  # whose answer has no content
            self.wfile.write(content)

    def _cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _serve

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that gave up is no news."""


@contextlib.contextmanager
def faulty_server(backend, faults):
    """Put the proxy before the server at an address; yields its own."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.backend, server.faults, server.over = urlparse(backend).netloc, faults, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def faulty_storage(faults):
    """Put the proxy before the server that the environment names, and its address into the environment."""
    before = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
    with faulty_server(before["AWS_ENDPOINT_URL"], faults) as address:
        os.environ["AWS_ENDPOINT_URL"] = address
        try:
            yield
        finally:
            restore(before)
