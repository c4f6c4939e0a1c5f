"""Supabase's gateway before a real PostgREST: checks the key, strips `/rest/v1`, and fails as it is told to.

It forwards to PostgREST's unix socket, one connection for each request.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.simulators.serving import QuietHandler, serving

PREFIX = "/rest/v1"
PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
SLOW_SECONDS = 5.0


class Fault(Enum):
    """What becomes of one request."""

    overloaded = "503, as PostgREST says it without a database"
    page = "502 with a page instead of JSON"
    page_as_answer = "200 with a page instead of JSON"
    dropped = "done by the database, and no answer"
    slow = "done, and the answer comes late"
    too_large = "413, before it was looked at"
    redirect = "301, as from http to https"


@dataclass
class Gateway:
    """One project's API at `url`."""

    upstream: Path
    key: str
    faults: deque[Fault] = field(default_factory=deque[Fault])  # for the next requests, one each
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    url: str = ""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@contextmanager
def serve(gateway: Gateway) -> Iterator[Gateway]:
    """Serves on a free port of this machine."""

    class Handler(_Handler):
        project = gateway

    with serving(Handler) as gateway.url:
        yield gateway


class _Handler(QuietHandler):
    project: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.project.requests.append((self.path, dict(self.headers)))
        fault = self.project.faults.popleft() if self.project.faults else None
        if fault is Fault.overloaded:
            self._say(503, {"code": "PGRST000", "message": "Database connection error. Retrying the connection."})
        elif fault is Fault.page:
            self._answer(502, "text/html", PAGE)
        elif fault is Fault.page_as_answer:
            self._answer(200, "text/html", PAGE)
        elif fault is Fault.too_large:
            self._answer(413, "text/html", PAGE)
        elif fault is Fault.redirect:
            self._answer(301, "text/html", PAGE)
        elif not (self.headers.get("apikey") == self.project.key == self._bearer()):
            # The gateway's own error: it has no code.
            self._say(401, {"message": "Invalid API key", "hint": "Double check your API key."})
        elif not self.path.startswith(f"{PREFIX}/"):
            self._answer(404, "text/html", PAGE)
        else:
            status, kind, content = self._forwarded(body)
            if fault is Fault.dropped:
                self.close_connection = True
                return
            if fault is Fault.slow:
                time.sleep(SLOW_SECONDS)
            self._answer(status, kind, content)

    def _bearer(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _forwarded(self, body: bytes) -> tuple[int, str, bytes]:
        kept = ("authorization", "content-type", "content-profile", "accept", "prefer")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        connection = UnixConnection(self.project.upstream)
        try:
            connection.request("POST", self.path.removeprefix(PREFIX), body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        finally:
            connection.close()

    def _say(self, status: int, value: dict[str, str]) -> None:
        self._answer(status, "application/json; charset=utf-8", json.dumps(value).encode())

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 301:
            self.send_header("Location", f"https://elsewhere.invalid{self.path}")
        self.end_headers()
        self.wfile.write(content)
