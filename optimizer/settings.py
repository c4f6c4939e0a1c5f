"""Settings: `ratchet.toml` for what a team reviews, the environment (and `.env`) for secrets and addresses."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from optimizer.errors import SettingsError

Follow = Literal["label", "latest", "pinned"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PromptSettings(_Section):
    label: str = "prod"
    follow: Follow = "label"
    includes: dict[str, str] = Field(default_factory=dict[str, str])
    required: tuple[str, ...] = ()


class ScheduleSettings(_Section):
    cron: str = "0 6 * * *"
    timezone: str = "UTC"


class BudgetSettings(_Section):
    run_usd: float = Field(1.0, ge=0)
    month_usd: float = Field(20.0, ge=0)


class AgentSettings(_Section):
    environment: str = "prod"
    registry: Literal["local"] = "local"
    prompts: dict[str, PromptSettings] = Field(default_factory=dict[str, PromptSettings])
    escalation_tools: tuple[str, ...] = ("transfer_to_human*",)
    approvers: tuple[str, ...] = ()  # names of people; empty means nobody
    schedule: ScheduleSettings = ScheduleSettings()
    budget: BudgetSettings = BudgetSettings()
    expires_hours: float = Field(72.0, gt=0)  # how long a session waits for its decision


class PersonSettings(_Section):
    slack: str | None = None
    whatsapp: str | None = None
    console: str | None = None  # the user's name on the machine
    timezone: str = "UTC"
    language: str = "en"


class TracesSettings(_Section):
    table: str
    columns: dict[str, str] = Field(default_factory=dict[str, str])


class FileSettings(_Section):
    """`ratchet.toml`."""

    agents: dict[str, AgentSettings] = Field(default_factory=dict[str, AgentSettings])
    people: dict[str, PersonSettings] = Field(default_factory=dict[str, PersonSettings])
    traces: TracesSettings | None = None


class Environment(BaseSettings):
    """Secrets and addresses; the names are those of the environment variables."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    ratchet_home: Path = Path(".ratchet")
    database_url: SecretStr | None = None
    supabase_url: str | None = None
    supabase_service_role_key: SecretStr | None = None
    promptlayer_api_key: SecretStr | None = None
    promptlayer_prompt_prefix: str = ""
    anthropic_api_key: SecretStr | None = None
    optimizer_model: str | None = None
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_whatsapp_from: str | None = None
    twilio_content_sid: str | None = None
    green_api_instance_id: str | None = None
    green_api_token: SecretStr | None = None
    green_api_url: str | None = None
    whatsapp_allowed_chat_id: str | None = None
    web_api_key: SecretStr | None = None
    public_url: str | None = None


class Settings(_Section):
    """Everything that is configured."""

    file: FileSettings = FileSettings()
    environment: Environment
    path: Path | None = None  # the ratchet.toml that was read

    @property
    def home(self) -> Path:
        return self.environment.ratchet_home

    def agent(self, slug: str) -> AgentSettings:
        """The agent's section, or the defaults: an agent needs no section to be looked at."""
        return self.file.agents.get(slug, AgentSettings())

    def identities(self, person: str) -> frozenset[str]:
        """The channel identities of a person, as `channel:identity`."""
        known = self.file.people.get(person)
        if known is None:
            return frozenset()
        named = {"slack": known.slack, "whatsapp": known.whatsapp, "console": known.console}
        return frozenset(
            identity if identity.startswith(f"{channel}:") else f"{channel}:{identity}"
            for channel, identity in named.items()
            if identity
        )


def load_settings(folder: Path | None = None) -> Settings:
    """Reads `ratchet.toml` (here, or the file that RATCHET_CONFIG names) and the environment."""
    folder = folder or Path.cwd()
    named = os.environ.get("RATCHET_CONFIG")
    path = Path(named) if named else folder / "ratchet.toml"
    if named and not path.is_file():
        raise SettingsError(f"RATCHET_CONFIG names {named!r}, which is not a file; correct it or take it out.")
    file = parse_file(path) if path.is_file() else FileSettings()
    try:
        environment = Environment(_env_file=folder / ".env")  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"The environment variable {name} is wrong: {first['msg']}.") from error
    return Settings(file=file, environment=environment, path=path if path.is_file() else None)


def parse_file(path: Path) -> FileSettings:
    """Parses one `ratchet.toml`; every error names the place and, for a misspelt key, its nearest neighbour."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}.") from error
    except OSError as error:
        raise SettingsError(f"{path.name} cannot be read: {error.strerror}; mend its rights or its path.") from error
    return parse_values(values, path.name)


def parse_values(values: Mapping[str, Any], name: str = "ratchet.toml") -> FileSettings:
    try:
        file = FileSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise SettingsError(_sentence(first["type"], first["loc"], first["msg"], name)) from error
    _check_people(file, name)
    return file


def _check_people(file: FileSettings, name: str) -> None:
    for slug, agent in file.agents.items():
        for person in agent.approvers:
            if person not in file.people:
                raise SettingsError(
                    f"{name}: the approver {person!r} of agents.{slug} is not under [people]"
                    f"{_nearest(person, file.people)}; add [people.{person}] with a channel identity."
                )


def _sentence(kind: str, place: tuple[int | str, ...], message: str, name: str) -> str:
    where = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        key = str(place[-1])
        return f"{name}: the key {where!r} is not known{_nearest(key, _known_keys(place[:-1]))}; correct or remove it."
    return f"{name}: the key {where!r} is wrong: {message[0].lower()}{message[1:]}."


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _known_keys(place: tuple[int | str, ...]) -> Mapping[str, Any]:
    """The keys that may stand at a place of the file."""
    sections: dict[str, dict[str, type[_Section]]] = {
        "agents": {"": AgentSettings, "prompts": PromptSettings, "schedule": ScheduleSettings, "budget": BudgetSettings},
        "people": {"": PersonSettings},
        "traces": {"": TracesSettings},
    }
    if not place:
        return FileSettings.model_fields
    inside = sections.get(str(place[0]), {})
    depth = place[2:] if place[0] != "traces" else place[1:]
    section = inside.get(str(depth[0]) if depth else "", None)
    return section.model_fields if section else {}
