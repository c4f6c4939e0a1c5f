"""Green API as far as the bot needs it, over a real socket; it fails as it is told to."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.simulators.green_api_phone import Refused, WhatsApp
from tests.simulators.serving import QuietHandler, serving

INSTANCE, TOKEN = "1101000001", "0123456789abcdef0123456789abcdef0123456789simulated"
GIVEN_UP_SECONDS = 30  # how long a slow answer waits for the test to end
RECEIVE_SECONDS_MAX = 0.05  # an empty queue answers sooner than the real one
_PATH = re.compile(r"/waInstance(\d+)/(\w+)/(\w+)(?:/(\d+))?")
_QUOTA = {
    "invokeStatus": {"method": "SendMessage", "used": 3, "total": 3, "status": "QUOTE_EXCEEDED", "description": ""},
    "correspondentsStatus": {"used": 3, "total": 3, "status": "CORRESPONDENTS_QUOTE_EXCEEDED"},
}


class Fault(Enum):
    """What becomes of one message."""

    limited = "429"
    quota = "466"
    failed = "500, before anything was done"
    failed_after = "done, and 500"
    dropped = "not done, and no answer"
    dropped_after = "done, and no answer"
    slow = "done, and the answer does not come"
    page = "200 with a page instead of JSON, nothing done"
    revoked = "401"
    invalid = "400"


class Request(NamedTuple):
    method: str
    arguments: dict[str, Any]


@dataclass
class GreenApi:
    """One instance at `url`."""

    whatsapp: WhatsApp = field(default_factory=WhatsApp)
    requests: list[Request] = field(default_factory=list[Request])
    url: str = ""
    retry_after: str | None = None
    faults: deque[Fault] = field(default_factory=deque[Fault])
    over: threading.Event = field(default_factory=threading.Event)

    def fails(self, *faults: Fault) -> None:
        """The next messages fail like this, one after the other."""
        self.faults.extend(faults)

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [one.arguments for one in self.requests if one.method == method]

    def call(self, verb: str, method: str, arguments: dict[str, Any], receipt: str | None) -> object:
        """The answer. Raises `Refused`."""
        whatsapp = self.whatsapp
        match verb, method:
            case "POST", "sendMessage":
                return {"idMessage": whatsapp.send(arguments)}
            case "GET", "getStateInstance":
                return {"stateInstance": whatsapp.state}
            case "GET", "getSettings":
                return dict(whatsapp.settings)
            case "POST", "setSettings":
                whatsapp.settings.update(arguments)
                return {"saveSettings": True}
            case "GET", "receiveNotification":
                if not 5 <= int(arguments.get("receiveTimeout", 5)) <= 60:
                    raise Refused(400, "Validation failed. 'receiveTimeout' must be between 5 and 60")
                return whatsapp.oldest()
            case "DELETE", "deleteNotification" if receipt is not None:
                return {"result": whatsapp.forget(int(receipt))}
            case _:
                raise Refused(403, "Forbidden")


@contextmanager
def green_api(whatsapp: WhatsApp | None = None) -> Iterator[GreenApi]:
    """An instance that can be talked to until the block ends."""
    simulated = GreenApi(whatsapp or WhatsApp())

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            _answer(self, simulated)

        do_GET = do_DELETE = do_POST

    with serving(Handler) as url:
        simulated.url = url
        try:
            yield simulated
        finally:
            simulated.over.set()


def _answer(handler: QuietHandler, simulated: GreenApi) -> None:
    content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    address = urlsplit(handler.path)
    found = _PATH.fullmatch(address.path)
    if found is None or found[1] != INSTANCE:
        _send(handler, 404, {"message": "Not found"})
        return
    if found[3] != TOKEN:
        _send(handler, 401, "")
        return
    arguments: dict[str, Any] = {name: values[0] for name, values in parse_qs(address.query).items()}
    arguments |= json.loads(content) if content else {}
    method = found[2]
    simulated.requests.append(Request(method, arguments))
    fault = simulated.faults.popleft() if method == "sendMessage" and simulated.faults else None
    match fault:
        case Fault.limited:
            wait = {"Retry-After": simulated.retry_after} if simulated.retry_after else {}
            _send(handler, 429, {"message": "Too many requests"}, wait)
        case Fault.quota:
            _send(handler, 466, _QUOTA)
        case Fault.failed:
            _send(handler, 500, "Internal Server Error")
        case Fault.page:
            _send(handler, 200, None)
        case Fault.revoked:
            _send(handler, 401, "")
        case Fault.invalid:
            _send(handler, 400, {"statusCode": 400, "message": "Validation failed."})
        case Fault.dropped:
            handler.close_connection = True
        case _:
            _done(handler, simulated, fault, method, arguments, found[4])


def _done(
    handler: QuietHandler,
    simulated: GreenApi,
    fault: Fault | None,
    method: str,
    arguments: dict[str, Any],
    receipt: str | None,
) -> None:
    try:
        status, answer = 200, simulated.call(str(handler.command), method, arguments, receipt)
    except Refused as refused:
        status, answer = refused.status, {"statusCode": refused.status, "message": str(refused)}
    if method == "receiveNotification" and answer is None:
        simulated.over.wait(RECEIVE_SECONDS_MAX)
        _send(handler, status, "null", raw=True)
        return
    if fault is Fault.slow:
        simulated.over.wait(GIVEN_UP_SECONDS)
    if fault in (Fault.slow, Fault.dropped_after):
        handler.close_connection = True
    elif fault is Fault.failed_after:
        _send(handler, 500, "Internal Server Error")
    else:
        _send(handler, status, answer)


def _send(
    handler: QuietHandler, status: int, answer: object, headers: dict[str, str] | None = None, *, raw: bool = False
) -> None:
    is_page = answer is None
    body = b"<html>Green API</html>" if is_page else str(answer).encode() if raw else json.dumps(answer).encode()
    handler.send_response(status)
    kind = "text/html" if is_page else "application/json; charset=utf-8"
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
