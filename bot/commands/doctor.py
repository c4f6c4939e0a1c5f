"""`ratchet doctor`: what is configured, reachable and missing."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator

from bot.cards.words import safe
from bot.commands.doctor_deliveries import delivery_lines
from bot.commands.doctor_policies import policy_line
from bot.commands.doctor_prompts import prompt_lines, reload_line
from bot.commands.doctor_tables import table_lines
from bot.wiring_green_api import open_green_api
from optimizer.errors import RatchetError, SettingsError
from optimizer.settings import AgentSettings, Settings, load_settings
from optimizer.wiring import Ratchet, database_source, open_ratchet

# What may be configured already, for the parts that come later.
_UNREAD = ("anthropic_api_key", "optimizer_model", "web_api_key")
_SUPABASE = ("supabase_url", "supabase_service_role_key")
_TRANSPORTS = {
    "DATABASE_URL": "DATABASE_URL",
    "SUPABASE_URL": "SUPABASE_URL, over the project's API",
    "embedded": "embedded",
}
_AGENT_KEYS_LATER = ("schedule", "budget")
_LATER = "accepted, but not used by this release"
_REGISTRIES = {"promptlayer": "PromptLayer", "mlflow": "MLflow"}  # also how their variables begin
_LINE_MAX = 500
_PROMPT_LINE_MAX = 1000
_TABLE_LINE_MAX = 2000
_LOGIN = re.compile(r"//\S*@")


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    if not options.verify_audit:
        for line in describe(settings):
            print(safe(line, _LINE_MAX))
    return asyncio.run(_look(settings, options.verify_audit))


def describe(settings: Settings) -> Iterator[str]:
    """The effective settings, secrets masked."""
    yield f"ratchet.toml: {settings.path or 'none (defaults)'}"
    yield f"home: {settings.home.absolute()}"
    for name, value in settings.environment:
        if value and name not in ("ratchet_config", "ratchet_home"):
            shown = "set (hidden)" if hasattr(value, "get_secret_value") else _LOGIN.sub("//***@", str(value))
            yield f"{name.upper()}: {shown}{_used(name, settings)}"
    for slug, agent in settings.file.agents.items():
        yield from _agent(slug, agent)
        if (told := reload_line(slug, settings)) is not None:
            yield told
    if not settings.file.agents:
        yield "agents: none in ratchet.toml; nobody is an approver yet"
    for person, known in settings.file.people.items():
        yield f"person {person}: {', '.join(sorted(known.named)) or 'no channel identity'}, {known.timezone}"
        if "language" in known.model_fields_set:
            yield f"people.{person}: language: {_LATER}"


def _used(name: str, settings: Settings) -> str:
    if name in _SUPABASE and settings.environment.database_url:
        return "; not used, DATABASE_URL comes first"
    registry = name.partition("_")[0]
    if registry in _REGISTRIES:
        used = any(agent.registry == registry for agent in settings.file.agents.values())
        return "" if used else f'; not used, no agent in ratchet.toml has registry = "{registry}"'
    return f"; {_LATER}" if name in _UNREAD else ""


def _agent(slug: str, agent: AgentSettings) -> Iterator[str]:
    approvers = ", ".join(agent.approvers) or "nobody: nothing can be deployed"
    yield f"agent {slug} ({agent.environment}): registry {agent.registry}, approvers: {approvers}"
    yield policy_line(slug, agent)
    for name, prompt in agent.prompts.items():
        loaded = {"label": f"by its label {prompt.label}", "latest": "as the latest version"}
        includes = "".join(f", includes {other} as {holder}" for holder, other in prompt.includes.items())
        assumed = "" if prompt.follow_given else " (assumed)"
        yield f"prompt {name} of {slug}: loaded {loaded.get(prompt.follow, 'at a pinned version')}{assumed}{includes}"
    later = [key for key in _AGENT_KEYS_LATER if key in agent.model_fields_set]
    if later:
        yield f"agents.{slug}: {' and '.join(later)}: {_LATER}"


async def _look(settings: Settings, verify_audit: bool) -> int:
    where = _TRANSPORTS[database_source(settings)]
    try:
        async with open_ratchet(settings) as ratchet:
            agents = await ratchet.agents.list()
            if verify_audit:
                return await _verify(ratchet, [agent.agent for agent in agents])
            print(f"database ({where}): reachable, schema up to date")
            for agent in agents:
                prompts = ", ".join(sorted(ratchet.prompts.refs(agent))) or "none registered"
                print(safe(f"known agent {agent.agent}: {len(agent.tools)} tools, prompts: {prompts}", _LINE_MAX))
                async for line in prompt_lines(ratchet, agent):
                    print(safe(line, _PROMPT_LINE_MAX))
                async for line in delivery_lines(ratchet, agent.agent):
                    print(safe(line, _LINE_MAX))
            for slug in settings.file.agents.keys() - {agent.agent for agent in agents}:
                print(safe(f"agent {slug}: no traces yet; `ratchet import FILE --agent {slug}`", _LINE_MAX))
            failed = await _look_at_tables(ratchet)
            failed = await look_at_whatsapp(settings) or failed
            return await _look_at_registries(ratchet, settings) or failed
    except RatchetError as error:
        print(f"database ({where}): {error}", file=sys.stderr)
        return error.exit_code


async def _look_at_tables(ratchet: Ratchet) -> int:
    failed = 0
    async for line in table_lines(ratchet):
        if isinstance(line, RatchetError):
            failed = line.exit_code
            print(safe(str(line), _TABLE_LINE_MAX), file=sys.stderr)
        else:
            print(safe(line, _TABLE_LINE_MAX))
    return failed


async def look_at_whatsapp(settings: Settings) -> int:
    """Whether the number behind Green API is connected, and how it is heard."""
    try:
        async with open_green_api(settings.environment) as green_api:
            if green_api is not None:
                print(safe(f"WhatsApp by Green API: {await green_api.channel.instance.described()}", _LINE_MAX))
    except RatchetError as error:
        print(safe(f"WhatsApp by Green API: {error}", _LINE_MAX), file=sys.stderr)
        return error.exit_code
    return 0


async def _look_at_registries(ratchet: Ratchet, settings: Settings) -> int:
    """Each prompt that lives outside our database: whether it can be read, and which version runs."""
    failed = 0
    for slug, agent in settings.file.agents.items():
        for name, ref in ratchet.prompts.configured(slug).items() if agent.registry in _REGISTRIES else ():
            where = f"{_REGISTRIES[agent.registry]}, prompt {name} of {slug}"
            try:
                label = ref.label if ref.follow == "label" else None
                held = await ratchet.registry_of(slug).current(name, label)
                print(safe(f"{where}: version {held.version}", _LINE_MAX))
            except RatchetError as error:
                failed = error.exit_code
                print(safe(f"{where}: {error}", _LINE_MAX), file=sys.stderr)
    return failed


async def _verify(ratchet: Ratchet, agents: list[str]) -> int:
    """Every row, head and anchor of every agent's chain."""
    broken = 0
    for agent in agents:
        try:
            versions = await ratchet.registry_of(agent).history()
        except SettingsError as error:  # the others can still be looked at
            broken += 1
            print(safe(f"audit of {agent}: not verified. {error}", _LINE_MAX), file=sys.stderr)
            continue
        anchors = frozenset(
            str(version.metadata["audit_head"]) for version in versions if "audit_head" in version.metadata
        )
        report = await ratchet.audit.verify(agent, anchors)
        if report.problem is None:
            print(safe(f"audit of {agent}: {report.rows} rows, unbroken, head {report.head[:12]}", _LINE_MAX))
        else:
            broken += 1
            print(safe(f"audit of {agent}: BROKEN: {report.problem}", _LINE_MAX), file=sys.stderr)
    if not agents:
        print("audit: no agents yet")
    return 1 if broken else 0
