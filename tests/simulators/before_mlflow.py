"""What stands between a client and a real MLflow server: it hands on, and fails where a test says so."""

from __future__ import annotations

import http.client
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from urllib.parse import urlsplit

from tests.simulators.serving import QuietHandler, serving

_UPSTREAM_TIMEOUT_SECONDS = 60


class Fault(Enum):
    failed = auto()  # 500, and nothing is done
    failed_after = auto()  # done, and 500
    dropped_after = auto()  # done, and the connection ends without an answer
    slow = auto()  # done, and no answer until the test ends
    ignored = auto()  # 200, and nothing is done
    unauthorized = auto()  # as MLflow's own login refuses, in plain text
    forbidden = auto()
    page = auto()  # somebody else's server


_STATUS = {
    Fault.failed: 500,
    Fault.failed_after: 500,
    Fault.ignored: 200,
    Fault.unauthorized: 401,
    Fault.forbidden: 403,
    Fault.page: 200,
}
_SAID = {
    Fault.unauthorized: b"You are not authenticated.",
    Fault.forbidden: b"Permission denied",
    Fault.page: b"<html>not MLflow</html>",
}
_AFTER = {Fault.failed_after, Fault.dropped_after, Fault.slow}


class BeforeMlflow:
    """Requests are told apart by the end of their path, such as `model-versions/create`."""

    def __init__(self, url: str) -> None:
        self.behind = url
        self.url = ""
        self.asked: list[str] = []
        self.over = threading.Event()
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._before: dict[str, Callable[[], None]] = {}

    def fail(self, path: str, *faults: Fault) -> None:
        """The next requests of that path; those after them are handed on."""
        self._faults[path].extend(faults)

    def before(self, path: str, act: Callable[[], None]) -> None:
        """Done once, before the next request of that path is handed on."""
        self._before[path] = act

    def count(self, path: str) -> int:
        return self.asked.count(path)

    def take(self, path: str) -> Fault | None:
        self.asked.append(path)
        act = self._before.pop(path, None)
        if act is not None:
            act()
        return self._faults[path].popleft() if self._faults[path] else None


@contextmanager
def before_mlflow(url: str) -> Iterator[BeforeMlflow]:
    between = BeforeMlflow(url)

    class Handler(QuietHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            fault = between.take("/".join(urlsplit(self.path).path.split("/")[-2:]))
            answer = self._handed_on(body) if fault is None or fault in _AFTER else (0, b"{}")
            if fault is Fault.slow:
                between.over.wait(_UPSTREAM_TIMEOUT_SECONDS)
            if fault in (Fault.slow, Fault.dropped_after):
                self.close_connection = True
                return
            status, content = answer if fault is None else (_STATUS[fault], _SAID.get(fault, b"{}"))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _any

        def _handed_on(self, body: bytes) -> tuple[int, bytes]:
            upstream = http.client.HTTPConnection(urlsplit(between.behind).netloc, timeout=_UPSTREAM_TIMEOUT_SECONDS)
            try:
                upstream.request(self.command, self.path, body, {"content-type": "application/json"})
                answer = upstream.getresponse()
                return answer.status, answer.read()
            finally:
                upstream.close()

    with serving(Handler) as between.url:
        try:
            yield between
        finally:
            between.over.set()
