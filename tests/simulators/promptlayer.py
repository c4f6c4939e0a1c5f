"""PromptLayer's API as far as a registry needs it, over a real socket; it fails as it is told to.

A raw GET is answered from a cache, as there, unless the request says `Cache-Control: no-cache`.
"""

from __future__ import annotations

import copy
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.simulators.promptlayer_workspace import Answer, Workspace
from tests.simulators.serving import QuietHandler, serving

KEY = "pl_0123456789abcdef"
PAGE = b"<html><body><h1>Welcome</h1></body></html>"
GIVEN_UP_SECONDS = 30  # how long a slow answer waits for the test to end

# The name stays percent-encoded until it is cut out: one may hold a slash.
ROUTES = {
    "get": ("GET", r"/prompt-templates/([^/]+)"),
    "get_rendered": ("POST", r"/prompt-templates/([^/]+)"),
    "list": ("GET", r"/prompt-templates"),
    "publish": ("POST", r"/rest/prompt-templates"),
    "patch": ("PATCH", r"/rest/prompt-templates/([^/]+)"),
    "labels": ("GET", r"/prompt-templates/([^/]+)/labels"),
    "create_label": ("POST", r"/prompts/([^/]+)/label"),
    "move_label": ("PATCH", r"/prompt-labels/([^/]+)"),
    "delete_label": ("DELETE", r"/prompt-labels/([^/]+)"),
    "log": ("POST", r"/log-request"),
}


class Fault(Enum):
    """What becomes of one request."""

    unauthorized = "401"
    forbidden = "403"
    not_found = "404"
    invalid = "422, with a detail"
    conflict = "409"
    limited = "429"
    limited_for_a_while = "429, with Retry-After"
    failed = "500, before anything was done"
    failed_after = "done, and 500"
    dropped = "not done, and no answer"
    dropped_after = "done, and no answer"
    slow = "done, and the answer does not come"
    late = "the answer does not come, and it is done only when the client has gone"
    unmoved = "200, and the label stays where it is"
    stale = "what was true before the last change, also where no cache is asked for"
    page = "200 with a page instead of JSON"
    huge = "200 with more than anybody wants to read"
    no_number = "done, and answered as older servers do: 200, without a version number"


class Request(NamedTuple):
    route: str
    path: str  # raw, with the query
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class PromptLayer:
    """One workspace's API at `url`."""

    key: str = KEY
    workspace: Workspace = field(default_factory=Workspace)
    requests: list[Request] = field(default_factory=list[Request])
    retry_after: str = "0"
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    quiet: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)  # the test has ended, or lets slow answers go
    _faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    _hooks: defaultdict[str, deque[Callable[[], object]]] = field(default_factory=lambda: defaultdict(deque))
    _cache: dict[tuple[Any, ...], Answer] = field(default_factory=dict[tuple[Any, ...], Answer])
    _before: Workspace = field(default_factory=Workspace)
    _at: dict[int, tuple[Fault | None, Callable[[], object]]] = field(default_factory=dict)
    _under_way: int = 0

    def fail(self, route: str, *faults: Fault) -> None:
        """For the next requests on this route, one each."""
        assert route in ROUTES
        self._faults[route].extend(faults)

    def before(self, route: str, hook: Callable[[], object]) -> None:
        """Happens right before the next request on this route is answered: somebody else is at work."""
        assert route in ROUTES
        self._hooks[route].append(hook)

    def at(self, number: int, fault: Fault | None, hook: Callable[[], object]) -> None:
        """What becomes of the request with this number, of whatever route; the first has 1. The hook comes first."""
        assert number > len(self.requests)
        self._at[number] = (fault, hook)

    def wait_until_quiet(self) -> None:
        """Lets slow answers go, and returns once nothing is under way."""
        self.over.set()
        with self.quiet:
            assert self.quiet.wait_for(lambda: self._under_way == 0, GIVEN_UP_SECONDS)

    def asked(self, route: str) -> list[Request]:
        return [one for one in self.requests if one.route == route]

    # ---- what a handler needs

    @contextmanager
    def received(self, request: Request) -> Iterator[int]:
        """While a request is under way; its number."""
        with self.quiet:
            self.requests.append(request)
            self._under_way += 1
            number = len(self.requests)
        try:
            yield number
        finally:
            with self.quiet:
                self._under_way -= 1
                self.quiet.notify_all()

    def next_fault(self, route: str, number: int) -> Fault | None:
        with self.lock:
            if number in self._at:
                fault, hook = self._at.pop(number)
                hook()
                return fault
            if self._hooks[route]:
                self._hooks[route].popleft()()
            return self._faults[route].popleft() if self._faults[route] else None

    def answer(self, route: str, name: str, query: dict[str, str], request: Request, fault: Fault | None) -> Answer:
        with self.lock:
            if route in ("get", "labels", "list", "get_rendered"):
                source = self._before if fault is Fault.stale else self.workspace
                return self._read(source, route, name, query, request)
            before = copy.deepcopy(self.workspace)
            answer = self._write(route, name, request.body, fault)
            if answer.status < 300 and fault is not Fault.unmoved:
                self._before = before
            return answer

    def _read(self, source: Workspace, route: str, name: str, query: dict[str, str], request: Request) -> Answer:
        version, label = query.get("version"), query.get("label")
        if route == "labels":
            return source.labels(name)
        if route == "list":
            return source.list(int(query.get("page", 1)), int(query.get("per_page", 30)), label)
        if route == "get_rendered":
            wanted = request.body.get("version")
            return source.get(name, None if wanted is None else str(wanted), request.body.get("label"), True)
        resolve = query.get("resolve_snippets", "true") == "true"
        key = (name, version, label, resolve)
        if key not in self._cache or request.headers.get("cache-control") == "no-cache":
            # A copy: what is cached does not change with what is stored.
            self._cache[key] = copy.deepcopy(source.get(name, version, label, resolve))
        return self._cache[key]

    def _write(self, route: str, name: str, body: dict[str, Any], fault: Fault | None) -> Answer:
        workspace = self.workspace
        if route == "publish":
            return workspace.post(body)
        if route == "patch":
            return workspace.patch(name, body)
        if route == "create_label":
            return workspace.create_label(name, body)
        if route == "move_label":
            return workspace.move_label(name, body, moves=fault is not Fault.unmoved)
        if route == "delete_label":
            return workspace.delete_label(name)
        workspace.logged.append(body)
        return Answer(201, {"id": len(workspace.logged)})


_SAID: dict[Fault | None, Answer] = {
    Fault.unauthorized: Answer(401, {"success": False, "message": "Invalid API key"}),
    Fault.forbidden: Answer(403, {"error": "Forbidden", "message": "Not allowed"}),
    Fault.not_found: Answer(404, {"success": False, "message": "Not found"}),
    Fault.invalid: Answer(422, {"detail": [{"loc": ["body"], "msg": "field required", "type": "value_error"}]}),
    Fault.conflict: Answer(409, {"success": False, "message": "Conflict"}),
    Fault.limited: Answer(429, {"success": False, "message": "Rate limit exceeded. Please retry later."}),
    Fault.limited_for_a_while: Answer(429, {"success": False, "message": "Rate limit exceeded. Please retry later."}),
    Fault.failed: Answer(500, {"success": False, "message": "Internal error"}),
}
_FAILED = _SAID[Fault.failed]


@contextmanager
def serve(simulator: PromptLayer) -> Iterator[PromptLayer]:
    """Serves on a free port of this machine."""

    class Handler(_Handler):
        promptlayer = simulator

    with serving(Handler) as simulator.url:
        try:
            yield simulator
        finally:
            simulator.over.set()


class _Handler(QuietHandler):
    promptlayer: PromptLayer

    def _handle(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        route, name = _route(self.command, parts.path)
        body = _object(raw)
        request = Request(route, self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        with self.promptlayer.received(request) as number:
            self._answer(request, name, number)

    def _answer(self, request: Request, name: str, number: int) -> None:
        simulator, route, body = self.promptlayer, request.route, request.body
        if not route:
            return self._say(Answer(404, {"success": False, "message": "Not Found"}))
        given = request.headers.get("x-api-key") or body.get("api_key")
        if given != simulator.key:
            # The worst of what a server may say: the texts are documented nowhere.
            return self._say(Answer(401, {"success": False, "message": f"Invalid API key {given}"}))
        fault = simulator.next_fault(route, number)
        if fault in _SAID:
            return self._say(_SAID[fault], simulator.retry_after if fault is Fault.limited_for_a_while else None)
        if fault is Fault.page:
            return self._send(200, "text/html", PAGE)
        if fault is Fault.huge:
            return self._send(200, "application/json", b'"' + b"x" * 30_000_000 + b'"')
        if fault is Fault.dropped:
            return self._hang_up()
        if fault is Fault.late:
            simulator.over.wait(GIVEN_UP_SECONDS)
        query = {key: values[-1] for key, values in parse_qs(urlsplit(request.path).query).items()}
        answer = simulator.answer(route, name, query, request, fault)
        return self._after(answer, fault)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = _handle

    def _after(self, answer: Answer, fault: Fault | None) -> None:
        if fault in (Fault.dropped_after, Fault.late):
            return self._hang_up()
        if fault is Fault.slow:
            self.promptlayer.over.wait(GIVEN_UP_SECONDS)
            return self._hang_up()
        if fault is Fault.failed_after:
            return self._say(_FAILED)
        if fault is Fault.no_number:
            del answer.body["version_number"], answer.body["prompt_version_id"]
            return self._say(Answer(200, answer.body))
        return self._say(answer)

    def _hang_up(self) -> None:
        self.close_connection = True

    def _say(self, answer: Answer, retry_after: str | None = None) -> None:
        content = b"" if answer.status == 204 else json.dumps(answer.body).encode()
        self._send(answer.status, "application/json", content, retry_after)

    def _send(self, status: int, kind: str, content: bytes, retry_after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _route(method: str, path: str) -> tuple[str, str]:
    """The route's name, and the decoded name or id in the raw path."""
    for route, (verb, pattern) in ROUTES.items():
        match = re.fullmatch(pattern, path) if verb == method else None
        if match:
            return route, unquote(match[1]) if match.groups() else ""
    return "", ""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
