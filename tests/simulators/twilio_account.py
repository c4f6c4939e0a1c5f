"""A Twilio account with one WhatsApp sender: messages, chats and their windows, contents and their approval."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

SENDER = "whatsapp:+14155238886"
BODY_MAX, TEMPLATE_BODY_MAX, VARIABLE_MAX = 1600, 1024, 255
IN_SESSION_BUTTONS_MAX, TITLE_MAX, ID_MAX = 3, 20, 200
WINDOW = timedelta(hours=24)
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_NOT_IN_VARIABLES = re.compile(r"[\n\t]| {4}")


class Refused(Exception):
    """What Twilio answers as `{"code": ..., "message": ..., "status": ...}`."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        more = f"https://www.twilio.com/docs/errors/{code}"
        self.answer = {"code": code, "message": message, "more_info": more, "status": status}


@dataclass
class Message:
    """One message of a chat; `mine` is what the bot sent."""

    sid: str
    chat: str
    text: str
    at: datetime
    mine: bool
    status: str = "received"
    buttons: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    media: str | None = None
    callback: str | None = None
    error_code: int | None = None

    @property
    def seen(self) -> bool:
        """Whether the person has it on the phone."""
        return self.error_code is None

    def as_answer(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": "AC0",
            "from": SENDER if self.mine else self.chat,
            "to": self.chat if self.mine else SENDER,
            "body": self.text,
            "status": self.status,
            "direction": "outbound-api" if self.mine else "inbound",
            "num_segments": "1",
            "num_media": "1" if self.media else "0",
            "date_created": format_datetime(self.at.replace(microsecond=0)),
            "date_sent": None,
            "error_code": self.error_code,
            "error_message": None,
            "price": None,
            "uri": f"/2010-04-01/Accounts/AC0/Messages/{self.sid}.json",
            "subresource_uris": {},
        }


@dataclass
class Account:
    """Its state survives whatever the bot does; `read` shows a chat as its person sees it."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    messages: list[Message] = field(default_factory=list[Message])
    contents: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    approvals: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    unreachable: set[str] = field(default_factory=set[str])  # no WhatsApp there: 63003
    lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def sid(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):032x}"

    def chat(self, person: str) -> list[Message]:
        return [one for one in self.messages if one.chat == person]

    def read(self, person: str) -> str:
        """The chat as it stands on the person's phone."""
        shown: list[str] = []
        for one in self.chat(person):
            if one.seen:
                buttons = "".join(f" [{button['title']}]" for button in one.buttons)
                picture = "(picture) " if one.media else ""
                shown.append(f"{'ratchet' if one.mine else 'me'}: {picture}{one.text}{buttons}")
        return "\n".join(shown)

    def window_open(self, person: str) -> bool:
        heard = [one.at for one in self.chat(person) if not one.mine]
        return bool(heard) and self.now() - heard[-1] < WINDOW

    # ---- Messages.json

    def create(self, form: dict[str, str]) -> Message:
        to, body, content = form.get("To", ""), form.get("Body", ""), form.get("ContentSid")
        if form.get("From") != SENDER:
            raise Refused(63007, "Twilio could not find a Channel with the specified From address")
        if not to.startswith("whatsapp:"):
            raise Refused(21211, f"Invalid 'To' Phone Number: {to}")
        if content and body:
            raise Refused(35127, "Messages Body and ContentVariables cannot be provided together")
        if not (content or body or form.get("MediaUrl")):
            raise Refused(21619, "A text message body or media urls must be specified.")
        if len(body) > BODY_MAX:
            raise Refused(21617, "The concatenated message body exceeds the 1600 character limit")
        buttons: list[dict[str, str]] = []
        if content:
            body, buttons = self._filled(content, form.get("ContentVariables"))
        message = Message(self.sid("SM"), to, body, self.now(), True, "queued", buttons, form.get("MediaUrl"))
        message.callback = form.get("StatusCallback")
        approved = content is not None and self.approvals.get(content, {}).get("status") == "approved"
        if not self.window_open(to) and not approved:
            message.error_code = 63016
        elif content and not approved and len(buttons) > IN_SESSION_BUTTONS_MAX:
            message.error_code = 63021
        elif to in self.unreachable:
            message.error_code = 63003
        self.messages.append(message)
        return message

    def _filled(self, content: str, variables: str | None) -> tuple[str, list[dict[str, str]]]:
        known = self.contents.get(content)
        if known is None:
            raise Refused(21655, "The ContentSid is Invalid")
        values = {**known["variables"], **json.loads(variables or "{}")}
        kind = known["types"]["twilio/quick-reply"]
        for name in _PLACE.findall(kind["body"]):
            value = values.get(name)
            if not isinstance(value, str) or not value.strip() or len(value) > VARIABLE_MAX:
                raise Refused(21656, "The ContentVariables Parameter is invalid")
            if _NOT_IN_VARIABLES.search(value):
                raise Refused(21656, "The ContentVariables Parameter is invalid")
        body = _PLACE.sub(lambda found: values[found[1]], kind["body"])
        if len(body) > TEMPLATE_BODY_MAX:
            raise Refused(63021, "Channel invalid content error")
        return body, list(kind["actions"])

    def listed(self, query: dict[str, str]) -> list[Message]:
        """Newest first."""
        since = datetime.strptime(query.get("DateSent>", "1970-01-01"), "%Y-%m-%d").replace(tzinfo=UTC)
        to, limit = query.get("To"), int(query.get("PageSize", "50"))
        found = [one for one in self.messages if one.mine and one.at >= since and to in (None, one.chat)]
        return found[::-1][:limit]

    # ---- contents

    def create_content(self, given: dict[str, Any]) -> dict[str, Any]:
        kind = given.get("types", {}).get("twilio/quick-reply")
        if not given.get("friendly_name") or kind is None:
            raise Refused(20001, "types is required")
        if len(kind["body"]) > TEMPLATE_BODY_MAX or not kind["actions"]:
            raise Refused(20001, "twilio/quick-reply is invalid")
        if any(len(one["title"]) > TITLE_MAX or len(one["id"]) > ID_MAX for one in kind["actions"]):
            raise Refused(20001, "a title has at most 20 characters, an id at most 200")
        sid = self.sid("HX")
        self.contents[sid] = {"sid": sid, "variables": {}, **given}
        return self.contents[sid]

    def ask_approval(self, sid: str, given: dict[str, Any]) -> dict[str, Any]:
        if sid not in self.contents:
            raise Refused(20404, "The requested resource was not found", 404)
        if sid in self.approvals:
            raise Refused(20409, "An approval request exists already", 409)
        if re.fullmatch("[a-z0-9_]+", str(given.get("name"))) is None:
            raise Refused(20001, "name: lower case and underscores alone")
        body = self.contents[sid]["types"]["twilio/quick-reply"]["body"].strip()
        places = [(found.start(), found.end()) for found in _PLACE.finditer(body)]
        beside = any(end == start for (_, end), (start, _) in itertools.pairwise(places))
        at_an_end = bool(places) and (places[0][0] == 0 or places[-1][1] == len(body))
        status, reason = ("rejected", "a variable stands badly") if beside or at_an_end else ("pending", "")
        self.approvals[sid] = {**given, "status": status, "rejection_reason": reason, "type": "whatsapp"}
        return self.approvals[sid]

    def approval(self, sid: str) -> dict[str, Any]:
        if sid not in self.contents:
            raise Refused(20404, "The requested resource was not found", 404)
        unsubmitted = {"status": "unsubmitted", "name": "", "category": "", "rejection_reason": ""}
        return {"sid": sid, "account_sid": "AC0", "whatsapp": self.approvals.get(sid, unsubmitted)}

    def approve(self) -> None:
        """WhatsApp has looked at what waits for approval."""
        for asked in self.approvals.values():
            if asked["status"] == "pending":
                asked["status"] = "approved"
