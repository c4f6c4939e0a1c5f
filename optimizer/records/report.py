"""What one run comes to: the session as JSON (DESIGN 13)."""

from __future__ import annotations

from typing import Any, Literal

from optimizer.records.base import Record
from optimizer.records.facts import Fact
from optimizer.records.findings import Watching
from optimizer.records.session import Dropped, Header
from optimizer.records.window import Window

RunStatus = Literal["pending", "quiet", "alarm", "dry_run"]


class RunReport(Record):
    """`items` are rows: n, id, goal, type, title, detail, facts, edits, status, content_sha256."""

    agent: str
    window: Window
    status: RunStatus
    header: Header
    facts: tuple[Fact, ...]
    items: tuple[dict[str, Any], ...]
    watching: tuple[Watching, ...]
    dropped: tuple[Dropped, ...]
    cost_usd: float = 0.0  # what the run itself spent on models
    tokens: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        whole = self.model_dump(mode="json", exclude={"header"})
        whole["items"] = [_item(item) for item in self.items]
        return whole


_SHOWN = ("n", "id", "goal", "type", "title", "detail", "facts", "edits")


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _SHOWN},
        "status": row.get("state", "open"),
        "content_sha256": row["content_sha256"],
    }
