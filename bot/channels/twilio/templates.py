"""The contents that Ratchet keeps in a Twilio account: what opens a talk outside the window, and buttons inside it.

Buttons need a stored content, one for each set of them. So the one set that decides is stored, and every other reply
is typed: a content for each message would fill the account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.channels.port import Part

VARIABLE_CHARACTERS_MAX = 200  # WhatsApp takes 255
_PLACE = re.compile(r"\{\{(\d)\}\}")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Template:
    """`body` neither begins nor ends with a variable, and no two stand together: WhatsApp would refuse it."""

    name: str  # in the account; a change of the text takes a new one
    variable: str  # of the environment, which holds its id
    body: str
    samples: tuple[str, ...]
    buttons: tuple[tuple[str, str], ...]  # title, and the reply that it stands for
    approved: bool  # WhatsApp has to approve it: it is sent outside the window

    def content(self) -> dict[str, Any]:
        """As it is created in the account."""
        actions = [{"title": title, "id": reply} for title, reply in self.buttons]
        return {
            "friendly_name": self.name,
            "language": "en",
            "variables": dict(_numbered(self.samples)),
            "types": {"twilio/quick-reply": {"body": self.body, "actions": actions}},
        }

    def part(self, sid: str | None, *values: str) -> Part:
        """The message with its variables filled in; each is one line and not empty."""
        filled = dict(_numbered(tuple(_one_line(value) for value in values)))
        text = _PLACE.sub(lambda found: filled[found[1]], self.body)
        return Part(text, {"ContentSid": sid, "ContentVariables": json.dumps(filled), "variable": self.variable})


CHANGES = Template(
    "ratchet_changes_wait_1",
    "TWILIO_CONTENT_SID",
    "Ratchet: {{1}} waiting for {{2}}. Reply LIST to see what.",
    ("3 changes", "blog-writer (prod)"),
    (("List", "list"),),
    approved=True,
)
NEWS = Template(
    "ratchet_news_1",
    "TWILIO_NEWS_SID",
    "News of {{1}}: {{2}} Reply STATUS for more.",
    ("blog-writer (prod)", "Live: system v8 (was v7)."),
    (("Status", "status"),),
    approved=True,
)
DECIDE = Template(
    "ratchet_decide_1",
    "TWILIO_BUTTONS_SID",
    "Your decision on {{1}}:",
    ("the 3 changes for blog-writer (prod)",),
    (("Deploy all", "deploy all"), ("Skip", "skip"), ("Status", "status")),
    approved=False,
)
TEMPLATES = (CHANGES, NEWS, DECIDE)


@dataclass(frozen=True)
class Contents:
    """The ids of the contents in the account; None where there is none."""

    changes: str | None = None
    news: str | None = None
    buttons: str | None = None


NO_CONTENTS = Contents()


def _numbered(values: tuple[str, ...]) -> Mapping[str, str]:
    return {str(n): value for n, value in enumerate(values, 1)}


def _one_line(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()[:VARIABLE_CHARACTERS_MAX].strip() or "the agent"
