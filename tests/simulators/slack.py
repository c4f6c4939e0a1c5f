"""Slack's Web API as far as the bot needs it, over a real socket; it fails as it is told to."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.simulators.serving import QuietHandler, serving
from tests.simulators.slack_blocks import HOME_BLOCKS_MAX, Refused, check_blocks, check_message
from tests.simulators.slack_workspace import SCOPES, Message, Workspace, parsed

BOT_TOKEN = "xoxb-0123456789-simulated"
APP_TOKEN = "xapp-0123456789-simulated"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
GIVEN_UP_SECONDS = 30  # how long a slow answer waits for the test to end
_HISTORY_MAX = 200


class Fault(Enum):
    """What becomes of one request."""

    limited = "429, with Retry-After"
    failed = "500, before anything was done"
    failed_after = "done, and 500"
    dropped = "not done, and no answer"
    dropped_after = "done, and no answer"
    slow = "done, and the answer does not come"
    page = "200 with a page instead of JSON"
    revoked = "200, token_revoked"
    invalid_blocks = "200, invalid_blocks, where there are blocks"


class Request(NamedTuple):
    method: str
    arguments: dict[str, Any]


@dataclass
class Slack:
    """One workspace's API at `url`, which ends with `/api/`."""

    workspace: Workspace = field(default_factory=Workspace)
    requests: list[Request] = field(default_factory=list[Request])
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    retry_after: str = "1"
    url: str = ""
    socket_url: str = ""  # where socket mode connects to
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    over: threading.Event = field(default_factory=threading.Event)

    def fails(self, method: str, *faults: Fault) -> None:
        """The next requests of this method fail like this, one after the other."""
        self.faults[method].extend(faults)

    def asked(self, method: str) -> list[dict[str, Any]]:
        return [one.arguments for one in self.requests if one.method == method]

    # ---- the methods

    def call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        handler: Callable[[dict[str, Any]], dict[str, Any]] | None = getattr(self, f"_{method.replace('.', '_')}", None)
        if handler is None:
            raise Refused("unknown_method")
        with self.workspace.lock:
            return {"ok": True, **handler(arguments)}

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _auth_test(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://t.slack.com/",
            "team": "T",
            "user": "ratchet",
            "team_id": "T1",
            "user_id": "UBOT",
            "bot_id": "BBOT",
        }

    def _apps_connections_open(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.socket_url}

    def _chat_postMessage(self, given: dict[str, Any]) -> dict[str, Any]:
        message = self._message(given)
        self.workspace.post(message)
        return {"channel": message.channel, "ts": message.ts, "message": message.as_answer()}

    def _chat_postEphemeral(self, given: dict[str, Any]) -> dict[str, Any]:
        message = self._message(given)
        message.seen_by = given["user"]
        self.workspace.post(message)
        return {"message_ts": message.ts}

    def _message(self, given: dict[str, Any]) -> Message:
        self._needs("chat:write")
        space, channel = self.workspace, str(given.get("channel", ""))
        if channel in space.users:
            channel = space.direct(channel)
        if channel not in space.channels:
            raise Refused("channel_not_found")
        blocks = parsed(given.get("blocks")) or []
        check_message(given.get("text", ""), blocks)
        thread = given.get("thread_ts")
        if thread and not any(one.ts == thread for one in space.channels[channel]):
            raise Refused("thread_not_found")
        metadata = parsed(given.get("metadata"))
        message = Message(space.next_ts(), channel, "UBOT", given.get("text", ""), blocks, thread, metadata)
        message.parse = given.get("parse") or "none"
        return message

    def _chat_update(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("chat:write")
        message = self.workspace.find(given["channel"], given["ts"])
        if message.user != "UBOT":
            raise Refused("cant_update_message")
        blocks = parsed(given.get("blocks")) or []
        check_message(given.get("text", ""), blocks)
        message.text, message.blocks, message.edits = given.get("text", ""), blocks, message.edits + 1
        message.parse = given.get("parse") or "client"
        return {"channel": message.channel, "ts": message.ts, "text": message.text}

    def _chat_delete(self, given: dict[str, Any]) -> dict[str, Any]:
        message = self.workspace.find(given["channel"], given["ts"])
        self.workspace.channels[message.channel].remove(message)
        return {"channel": message.channel, "ts": message.ts}

    def _chat_getPermalink(self, given: dict[str, Any]) -> dict[str, Any]:
        message = self.workspace.find(given["channel"], given["message_ts"])
        place = f"p{message.ts.replace('.', '')}"
        return {"channel": message.channel, "permalink": f"https://t.slack.com/archives/{message.channel}/{place}"}

    def _conversations_open(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("im:write")
        user = str(given["users"]).split(",")[0]
        if self.workspace.users.get(user, {}).get("deleted"):
            raise Refused("user_disabled")
        return {"channel": {"id": self.workspace.direct(user)}}

    def _conversations_history(self, given: dict[str, Any]) -> dict[str, Any]:
        messages = [one for one in self._of(given) if one.thread_ts in (None, one.ts)]
        return self._page(messages[::-1], given)

    def _conversations_replies(self, given: dict[str, Any]) -> dict[str, Any]:
        head = self.workspace.find(given["channel"], given["ts"])
        messages = [one for one in self._of(given) if one is head or one.thread_ts == head.ts]
        return self._page(messages, given)

    def _of(self, given: dict[str, Any]) -> list[Message]:
        self._needs("im:history" if str(given["channel"]).startswith("D") else "channels:history")
        if given["channel"] not in self.workspace.channels:
            raise Refused("channel_not_found")
        oldest = str(given.get("oldest") or "0")
        found = self.workspace.channels[given["channel"]]
        return [one for one in found if one.seen_by is None and float(one.ts) >= float(oldest)]

    def _page(self, messages: list[Message], given: dict[str, Any]) -> dict[str, Any]:
        limit, at = min(int(given.get("limit") or 100), _HISTORY_MAX), int(given.get("cursor") or 0)
        with_metadata = str(given.get("include_all_metadata", "")).lower() in ("1", "true")
        page = [one.as_answer(with_metadata=with_metadata) for one in messages[at : at + limit]]
        more = at + limit < len(messages)
        following = str(at + limit) if more else ""
        return {"messages": page, "has_more": more, "response_metadata": {"next_cursor": following}}

    def _reactions_add(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("reactions:write")
        message = self.workspace.find(given["channel"], given["timestamp"])
        if given["name"] in message.reactions:
            raise Refused("already_reacted")
        message.reactions.append(given["name"])
        return {}

    def _users_info(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("users:read")
        if given["user"] not in self.workspace.users:
            raise Refused("user_not_found")
        return {"user": self.workspace.users[given["user"]]}

    def _users_lookupByEmail(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("users:read.email")
        users = self.workspace.users.values()
        found = next((one for one in users if one["profile"]["email"] == given["email"]), None)
        if found is None:
            raise Refused("users_not_found")
        return {"user": found}

    def _views_publish(self, given: dict[str, Any]) -> dict[str, Any]:
        view = parsed(given["view"])
        problems = check_blocks(view.get("blocks"), HOME_BLOCKS_MAX)
        if problems:
            raise Refused("invalid_arguments", response_metadata={"messages": problems})
        if len(json.dumps(view)) > 250_000:
            raise Refused("view_too_large")
        self.workspace.homes[given["user_id"]] = view
        return {"view": {"id": f"V{given['user_id']}", "hash": str(len(self.requests))}}

    def _files_getUploadURLExternal(self, given: dict[str, Any]) -> dict[str, Any]:
        self._needs("files:write")
        file_id = f"F{len(self.workspace.uploads) + 1}"
        self.workspace.uploads[file_id] = b""
        self.workspace.file_names[file_id] = given["filename"]
        return {"upload_url": f"{self.url.removesuffix('api/')}upload/{file_id}", "file_id": file_id}

    def _files_completeUploadExternal(self, given: dict[str, Any]) -> dict[str, Any]:
        space, files = self.workspace, parsed(given["files"])
        channel = given.get("channel_id")
        if channel:
            text, thread = given.get("initial_comment", ""), given.get("thread_ts")
            message = Message(space.next_ts(), channel, "UBOT", text, thread_ts=thread)
            message.files = {one["id"]: space.file_names[one["id"]] for one in files}
            space.post(message)
        return {"files": files}


@contextmanager
def slack() -> Iterator[Slack]:
    """A workspace that can be talked to until the block ends."""
    simulated = Slack()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            _answer(self, simulated)

        do_GET = do_POST

    with serving(Handler) as url:
        simulated.url = f"{url}/api/"
        try:
            yield simulated
        finally:
            simulated.over.set()


def _answer(handler: QuietHandler, simulated: Slack) -> None:
    content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    address = urlsplit(handler.path)
    if address.path.startswith("/upload/"):
        simulated.workspace.uploads[address.path.removeprefix("/upload/")] = content
        _send(handler, 200, {"ok": True})
        return
    method = address.path.removeprefix("/api/")
    arguments = _arguments(handler, address.query, content)
    simulated.requests.append(Request(method, arguments))
    fault = simulated.faults[method].popleft() if simulated.faults[method] else None
    token = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
    if handler.headers.get("Authorization") != f"Bearer {token}":
        _send(handler, 200, {"ok": False, "error": "invalid_auth"})
        return
    match fault:
        case Fault.limited:
            _send(handler, 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": simulated.retry_after})
        case Fault.failed:
            _send(handler, 500, {"ok": False, "error": "internal_error"})
        case Fault.dropped:
            handler.close_connection = True
        case Fault.page:
            _send(handler, 200, None)
        case Fault.revoked:
            _send(handler, 200, {"ok": False, "error": "token_revoked"})
        case Fault.invalid_blocks if arguments.get("blocks"):
            _send(handler, 200, {"ok": False, "error": "invalid_blocks", "errors": ["unsupported type"]})
        case _:
            answer = _called(simulated, method, arguments)
            if fault is Fault.slow:
                simulated.over.wait(GIVEN_UP_SECONDS)
            if fault in (Fault.slow, Fault.dropped_after):
                handler.close_connection = True
            elif fault is Fault.failed_after:
                _send(handler, 500, {"ok": False, "error": "internal_error"})
            else:
                _send(handler, 200, answer)


def _called(simulated: Slack, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return simulated.call(method, arguments)
    except Refused as refused:
        return refused.answer


def _arguments(handler: QuietHandler, query: str, content: bytes) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(parse_qsl(query))
    if handler.headers.get("Content-Type", "").startswith("application/json"):
        arguments |= json.loads(content or b"{}")
    else:
        arguments |= dict(parse_qsl(content.decode()))
    return arguments


def _send(handler: QuietHandler, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
    body = b"<html>Slack</html>" if answer is None else json.dumps(answer).encode()
    handler.send_response(status)
    kind = "text/html" if answer is None else "application/json; charset=utf-8"
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
