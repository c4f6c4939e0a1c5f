"""Settings: `ratchet.toml` for what a team reviews, the environment (and `.env`) for secrets and addresses."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from optimizer.clock import timezone_named
from optimizer.errors import SettingsError
from optimizer.settings.environment import Environment
from optimizer.settings.notices import NoticesSettings
from optimizer.settings.policies import PolicySettings, QuietHoursSettings
from optimizer.settings.reload import ReloadSettings
from optimizer.settings.tables import (
    AgentConfigSettings,
    ConfigColumns,
    MessageColumns,
    MessagesSettings,
    Section,
    TableSettings,
    TraceColumns,
    TracesSettings,
)
from optimizer.settings.times import Cron, Timezone

Follow = Literal["label", "latest", "pinned"]
_HOURS_MAX = 10 * 366 * 24


class PromptSettings(Section):
    label: str = "prod"
    follow: Follow = "label"
    includes: dict[str, str] = Field(default_factory=dict[str, str])
    required: tuple[str, ...] = ()

    @property
    def follow_given(self) -> bool:
        """Whether the owner said how the prompt is loaded; else the label is an assumption."""
        return "follow" in self.model_fields_set


class ScheduleSettings(Section):
    cron: Cron = "0 6 * * *"
    timezone: Timezone = "UTC"


class BudgetSettings(Section):
    run_usd: float = Field(default=1.0, ge=0)
    month_usd: float = Field(default=20.0, ge=0)


class AgentSettings(Section):
    environment: str = "prod"
    registry: Literal["local", "promptlayer", "mlflow"] = "local"
    prompts: dict[str, PromptSettings] = Field(default_factory=dict[str, PromptSettings])
    escalation_tools: tuple[str, ...] = ("transfer_to_human*",)
    approvers: tuple[str, ...] = ()  # names of people; empty means nobody
    slack_channel: str | None = None  # a channel of Slack that sees sessions too
    reactions: bool = False  # a thumb on the session's message is asked about; it never decides
    schedule: ScheduleSettings = ScheduleSettings()
    budget: BudgetSettings = BudgetSettings()
    policy: PolicySettings = PolicySettings()
    notices: NoticesSettings = NoticesSettings()
    reload: ReloadSettings | None = None
    expires_hours: float = Field(default=72.0, gt=0, le=_HOURS_MAX)  # how long a session waits for its decision


class PersonSettings(Section):
    slack: str | None = None
    whatsapp: str | None = None
    console: str | None = None  # the user's name on the machine
    timezone: Timezone = "UTC"
    language: str = "en"

    @property
    def channels(self) -> dict[str, str | None]:
        return {"slack": self.slack, "whatsapp": self.whatsapp, "console": self.console}

    @property
    def named(self) -> frozenset[str]:
        """The channel identities, as `channel:identity`."""
        return frozenset(
            identity if identity.startswith(f"{channel}:") else f"{channel}:{identity}"
            for channel, identity in self.channels.items()
            if identity
        )


class FileSettings(Section):
    """`ratchet.toml`."""

    agents: dict[str, AgentSettings] = Field(default_factory=dict[str, AgentSettings])
    people: dict[str, PersonSettings] = Field(default_factory=dict[str, PersonSettings])
    traces: TracesSettings | None = None
    messages: MessagesSettings | None = None
    agent_config: AgentConfigSettings | None = None


class Settings(Section):
    """Everything that is configured."""

    file: FileSettings = FileSettings()
    environment: Environment
    path: Path | None = None  # the ratchet.toml that was read

    @property
    def home(self) -> Path:
        return self.environment.ratchet_home

    @property
    def tables(self) -> tuple[TableSettings, ...]:
        """The owner's own tables that are to be read."""
        return tuple(table for table in (self.file.traces, self.file.messages, self.file.agent_config) if table)

    def agent_of(self, table: TableSettings) -> str | None:
        """Whose rows a table without a column for it holds: as it says, as [traces] says, else the only agent."""
        traces = self.file.traces.agent if self.file.traces else None
        only = next(iter(self.file.agents)) if len(self.file.agents) == 1 else None
        return table.agent or traces or only

    def agent(self, slug: str) -> AgentSettings:
        """The agent's section, or the defaults: an agent needs no section to be looked at."""
        return self.file.agents.get(slug, AgentSettings())

    def identities(self, person: str) -> frozenset[str]:
        """The channel identities of a person; none of someone who is not under [people]."""
        known = self.file.people.get(person)
        return known.named if known else frozenset()

    def timezone_of(self, actor: str) -> tzinfo:
        """In which times are told to a channel identity; UTC to someone who is not under [people]."""
        known = next((person for person in self.file.people.values() if actor in person.named), None)
        return timezone_named(known.timezone) if known else UTC


def load_settings(folder: Path | None = None) -> Settings:
    """Reads the environment, `.env`, and `ratchet.toml` (here, or the file that RATCHET_CONFIG names)."""
    folder = folder or Path.cwd()
    environment = _read_environment(folder / ".env")
    named = environment.ratchet_config
    path = named or folder / "ratchet.toml"
    if named is None and not path.exists():
        return Settings(environment=environment)
    if not path.is_file():
        what = "RATCHET_CONFIG names" if named else "there is"
        raise SettingsError(f"{what} {str(path)!r}, which is not a file; correct it or take it out.")
    return Settings(file=parse_file(path), environment=environment, path=path)


def _read_environment(dotenv: Path) -> Environment:
    try:
        return Environment(_env_file=dotenv)  # pyright: ignore[reportCallIssue]
    except UnicodeDecodeError:
        # The cause would show the bytes, and those may be a secret.
        raise SettingsError(f"{str(dotenv)!r} is not UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{str(dotenv)!r} cannot be read ({error.strerror}); mend its rights.") from error


def parse_file(path: Path) -> FileSettings:
    """Parses one `ratchet.toml`; every error names the place and, for a misspelt key, its nearest neighbour."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path.name} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name} is not valid TOML: {_lower(str(error))}; correct it there.") from error
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read ({error.strerror}); mend its rights or its path.") from error
    return parse_values(values, path.name)


def parse_values(values: Mapping[str, Any], name: str = "ratchet.toml") -> FileSettings:
    try:
        file = FileSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{name}: {_sentence(_first(error))}") from error
    _check_people(file, name)
    _check_includes(file, name)
    return file


def _first(error: ValidationError) -> ErrorDetails:
    """What to tell of: a misspelt key before what is only missing or wrong because of it."""
    found = error.errors(include_input=False)
    return next((one for one in found if one["type"] == "extra_forbidden"), found[0])


def _check_people(file: FileSettings, name: str) -> None:
    for slug, agent in file.agents.items():
        for person in agent.approvers:
            known = file.people.get(person)
            if known is None:
                raise SettingsError(
                    f"{name}: the approver {person!r} of agents.{slug} is not under [people]"
                    f"{_nearest(person, file.people)}; add [people.{person}] with a channel identity."
                )
            if not known.named:
                raise SettingsError(
                    f"{name}: the approver {person!r} of agents.{slug} has no channel identity, so nobody could answer "
                    f"as {person!r}; give [people.{person}] one of {', '.join(known.channels)}."
                )


def _check_includes(file: FileSettings, name: str) -> None:
    for slug, agent in file.agents.items():
        for prompt, settings in agent.prompts.items():
            for holder, other in settings.includes.items():
                if other not in agent.prompts:
                    raise SettingsError(
                        f"{name}: agents.{slug}.prompts.{prompt} includes {other!r} as {holder}, which is no prompt of "
                        f"agents.{slug}{_nearest(other, agent.prompts)}; correct it, or add prompts.{other} = {{}}."
                    )


def _sentence(error: ErrorDetails) -> str:
    """One sentence about one thing that is wrong. Values are not repeated: a secret may have got in here."""
    place = error["loc"]
    where = ".".join(str(part) for part in place)
    if error["type"] == "extra_forbidden":
        key = str(place[-1])
        return f"the key {where!r} is not known{_nearest(key, _known_keys(place[:-1]))}; correct or remove it."
    if error["type"] == "missing":
        return f"the key {where!r} is missing; add it."
    return f"the key {where!r} is wrong: {_WRONG.get(error['type']) or _lower(error['msg'])}; correct it."


_TABLE = "it should be a table, as in [agents.my-agent]"
_WRONG = {
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "string_type": 'it should be text, as in "prod"',
    "tuple_type": 'it should be a list, as in ["dana"]',
}


def _lower(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}"


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _known_keys(place: tuple[int | str, ...]) -> Mapping[str, Any]:
    """The keys that may stand at a place of the file."""
    sections: dict[str, dict[str, type[Section]]] = {
        "agents": {
            "": AgentSettings,
            "prompts": PromptSettings,
            "schedule": ScheduleSettings,
            "budget": BudgetSettings,
            "policy": PolicySettings,
            "quiet_hours": QuietHoursSettings,
            "reload": ReloadSettings,
            "notices": NoticesSettings,
        },
        "people": {"": PersonSettings},
        "traces": {"": TracesSettings, "columns": TraceColumns},
        "messages": {"": MessagesSettings, "columns": MessageColumns},
        "agent_config": {"": AgentConfigSettings, "columns": ConfigColumns},
    }
    if not place:
        return FileSettings.model_fields
    inside = sections.get(str(place[0]), {})
    depth = place[2:] if place[0] in ("agents", "people") else place[1:]
    if len(depth) > 1 and depth[0] == "policy":
        depth = depth[1:]
    section = inside.get(str(depth[0]) if depth else "", None)
    return section.model_fields if section else {}
