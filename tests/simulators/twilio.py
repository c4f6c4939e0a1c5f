"""Twilio's API as far as the bot needs it, over a real socket; it fails as it is told to."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.simulators.serving import QuietHandler, serving
from tests.simulators.twilio_account import Account, Refused

ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
AUTH_TOKEN = "0123456789abcdef0123456789simulat"
GIVEN_UP_SECONDS = 30  # how long a slow answer waits for the test to end
_MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
_APPROVALS = re.compile(r"/v1/Content/(HX\w+)/ApprovalRequests(/whatsapp)?")


class Fault(Enum):
    """What becomes of one request."""

    limited = "429, code 20429"
    failed = "500, before anything was done"
    failed_after = "done, and 500"
    dropped = "not done, and no answer"
    dropped_after = "done, and no answer"
    slow = "done, and the answer does not come"
    page = "200 with a page instead of JSON, nothing done"
    revoked = "401, code 20003"


class Request(NamedTuple):
    method: str
    path: str
    arguments: dict[str, Any]


@dataclass
class Twilio:
    """One account's API at `url`."""

    account: Account = field(default_factory=Account)
    requests: list[Request] = field(default_factory=list[Request])
    url: str = ""
    retry_after: str | None = "7"
    faults: deque[Fault] = field(default_factory=deque[Fault])
    over: threading.Event = field(default_factory=threading.Event)

    def fails(self, *faults: Fault) -> None:
        """The next messages fail like this, one after the other."""
        self.faults.extend(faults)

    def changed(self) -> list[Request]:
        """The requests that were to change something."""
        return [one for one in self.requests if one.method != "GET"]

    def call(self, method: str, path: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        account = self.account
        approvals = _APPROVALS.fullmatch(path)
        with account.lock:
            match method:
                case "POST" if path == _MESSAGES:
                    return 201, account.create(arguments).as_answer()
                case "GET" if path == _MESSAGES:
                    found = [one.as_answer() for one in account.listed(arguments)]
                    return 200, {"messages": found, "next_page_uri": None}
                case "POST" if path == "/v1/Content":
                    return 201, account.create_content(arguments)
                case "GET" if path == "/v1/Content":
                    return 200, self._contents(arguments)
                case "POST" if approvals is not None and approvals[2]:
                    return 201, account.ask_approval(approvals[1], arguments)
                case "GET" if approvals is not None and not approvals[2]:
                    return 200, account.approval(approvals[1])
                case _:
                    raise Refused(20404, f"The requested resource {path} was not found", 404)

    def _contents(self, query: dict[str, Any]) -> dict[str, Any]:
        size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        held = list(self.account.contents.values())
        more = (page + 1) * size < len(held)
        following = f"{self.url}/v1/Content?PageSize={size}&Page={page + 1}" if more else None
        return {"contents": held[page * size : (page + 1) * size], "meta": {"next_page_url": following}}


@contextmanager
def twilio(account: Account | None = None) -> Iterator[Twilio]:
    """An account that can be talked to until the block ends."""
    simulated = Twilio(account or Account())

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            _answer(self, simulated)

        do_GET = do_POST

    with serving(Handler) as url:
        simulated.url = url
        try:
            yield simulated
        finally:
            simulated.over.set()


def _answer(handler: QuietHandler, simulated: Twilio) -> None:
    content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    address = urlsplit(handler.path)
    arguments: dict[str, Any] = dict(parse_qsl(address.query))
    if handler.headers.get("Content-Type", "").startswith("application/json"):
        arguments |= json.loads(content)
    else:
        arguments |= dict(parse_qsl(content.decode()))
    method = str(handler.command)
    simulated.requests.append(Request(method, address.path, arguments))
    is_message = method == "POST" and address.path == _MESSAGES
    fault = simulated.faults.popleft() if is_message and simulated.faults else None
    key = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if fault is Fault.revoked or handler.headers.get("Authorization") != f"Basic {key}":
        _send(handler, 401, Refused(20003, "Authenticate", 401).answer)
    elif fault is Fault.limited:
        wait = {"Retry-After": simulated.retry_after} if simulated.retry_after else {}
        _send(handler, 429, Refused(20429, "Too Many Requests", 429).answer, wait)
    elif fault is Fault.failed:
        _send(handler, 500, Refused(20500, "Internal Server Error", 500).answer)
    elif fault is Fault.page:
        _send(handler, 200, None)
    elif fault is Fault.dropped:
        handler.close_connection = True
    else:
        _done(handler, simulated, fault, method, address.path, arguments)


def _done(
    handler: QuietHandler, simulated: Twilio, fault: Fault | None, method: str, path: str, arguments: dict[str, Any]
) -> None:
    try:
        status, answer = simulated.call(method, path, arguments)
    except Refused as refused:
        status, answer = refused.status, refused.answer
    if fault is Fault.slow:
        simulated.over.wait(GIVEN_UP_SECONDS)
    if fault in (Fault.slow, Fault.dropped_after):
        handler.close_connection = True
    elif fault is Fault.failed_after:
        _send(handler, 500, Refused(20500, "Internal Server Error", 500).answer)
    else:
        _send(handler, status, answer)


def _send(handler: QuietHandler, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
    body = b"<html>Twilio</html>" if answer is None else json.dumps(answer).encode()
    handler.send_response(status)
    kind = "text/html" if answer is None else "application/json; charset=utf-8"
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
