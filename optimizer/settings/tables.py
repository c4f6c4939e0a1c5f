"""The owner's own tables in `ratchet.toml`: which they are, and which of their columns says what.

A column is written as its name, or as a path into a jsonb column: `"payload.prompt_version"`. What is left out is
looked for under its usual names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_NAME_BYTES_MAX = 63  # PostgreSQL cuts longer names
_PATH_PARTS_MAX = 8
_HISTORY_DAYS_MAX = 3660


def _is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= _NAME_BYTES_MAX and text.isprintable()


def _table(text: str) -> str:
    parts = text.split(".")
    if len(parts) > 2 or not all(map(_is_name, parts)):
        raise PydanticCustomError("table", 'it should be a table, as in "public.observability_traces"')
    return text


def _path(text: str) -> str:
    parts = text.split(".")
    if len(parts) > _PATH_PARTS_MAX or not all(map(_is_name, parts)):
        raise PydanticCustomError("column", 'it should be a column or a path into one, as in "payload.events"')
    return text


TableName = Annotated[str, AfterValidator(_table)]
ColumnPath = Annotated[str, AfterValidator(_path)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TraceColumns(Section):
    """One row is one run of the agent."""

    id: ColumnPath | None = None
    session_id: ColumnPath | None = None
    trace_id: ColumnPath | None = None  # the row's id where there is none
    created_at: ColumnPath | None = None
    updated_at: ColumnPath | None = None
    started_at: ColumnPath | None = None
    agent: ColumnPath | None = None
    environment: ColumnPath | None = None
    release: ColumnPath | None = None
    model: ColumnPath | None = None
    task_category: ColumnPath | None = None
    cost_usd: ColumnPath | None = None
    tokens_in: ColumnPath | None = None
    tokens_out: ColumnPath | None = None
    tokens_cached: ColumnPath | None = None
    steps: ColumnPath | None = None
    success: ColumnPath | None = None
    reward: ColumnPath | None = None
    payload: ColumnPath | None = None
    events: ColumnPath | None = None
    prompts: ColumnPath | None = None
    prompt_version: ColumnPath | None = None


class MessageColumns(Section):
    """One row is one message of a chat."""

    id: ColumnPath | None = None
    session_id: ColumnPath | None = None
    created_at: ColumnPath | None = None
    updated_at: ColumnPath | None = None
    role: ColumnPath | None = None
    content: ColumnPath | None = None
    feedback: ColumnPath | None = None  # a thumb
    rating: ColumnPath | None = None  # one to five


class ConfigColumns(Section):
    """One row is one agent with its settings, or one setting: a key and its value."""

    id: ColumnPath | None = None
    agent: ColumnPath | None = None
    key: ColumnPath | None = None
    value: ColumnPath | None = None
    tools: ColumnPath | None = None
    escalation_tools: ColumnPath | None = None
    prompts: ColumnPath | None = None
    environment: ColumnPath | None = None


class _Table(Section):
    table: TableName
    agent: str | None = None  # whose rows these are, where no column says so

    @property
    def schema_and_name(self) -> tuple[str, str]:
        schema, dot, name = self.table.rpartition(".")
        return (schema, name) if dot else ("public", self.table)


class TracesSettings(_Table):
    columns: TraceColumns = TraceColumns()
    history_days: float = Field(default=90.0, gt=0, le=_HISTORY_DAYS_MAX)  # how far back the first passes go


class MessagesSettings(_Table):
    columns: MessageColumns = MessageColumns()


class AgentConfigSettings(_Table):
    columns: ConfigColumns = ConfigColumns()


TableSettings = TracesSettings | MessagesSettings | AgentConfigSettings
