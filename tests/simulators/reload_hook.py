"""An agent's address for reloading: keeps what it was sent, and answers as a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.simulators.serving import QuietHandler, serving


class Sent(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Hook:
    """`answers`: statuses, one for each call; then 204. `slow_seconds`: before each answer."""

    url: str = ""
    sent: list[Sent] = field(default_factory=list[Sent])
    answers: list[int] = field(default_factory=list[int])
    slow_seconds: float = 0.0
    body_bytes: int = 0
    gone: threading.Event = field(default_factory=threading.Event)  # the test is over


@contextmanager
def reload_hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.sent.append(Sent(self.path, dict(self.headers.items()), body))
            hook.gone.wait(hook.slow_seconds)
            status = hook.answers.pop(0) if hook.answers else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{hook.url}/elsewhere")
            self.send_header("Content-Length", str(hook.body_bytes))
            self.end_headers()
            self._write_slowly(hook.body_bytes)

        def _write_slowly(self, left: int) -> None:
            """A long answer that nobody should wait for."""
            while left > 0 and not hook.gone.is_set():
                self.wfile.write(b"x" * min(left, 65536))
                self.wfile.flush()
                left -= 65536
                time.sleep(0.05)

        def do_GET(self) -> Any:
            hook.sent.append(Sent(self.path, dict(self.headers.items()), b""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Handler) as url:
        hook.url = url
        try:
            yield hook
        finally:
            hook.gone.set()
