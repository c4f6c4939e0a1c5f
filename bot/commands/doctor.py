"""`ratchet doctor`: what is configured, reachable and missing."""

from __future__ import annotations

import argparse
import asyncio
import sys

from optimizer.errors import RatchetError
from optimizer.settings import Settings, load_settings
from optimizer.wiring import Ratchet, open_ratchet


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    if not options.verify_audit:
        for line in describe(settings):
            print(line)
    return asyncio.run(_look(settings, options.verify_audit))


def describe(settings: Settings) -> list[str]:
    """The effective settings, secrets masked."""
    lines = [f"ratchet.toml: {settings.path or 'none (defaults)'}", f"home: {settings.home}"]
    for name, value in settings.environment:
        if name != "ratchet_home" and value:
            lines.append(f"{name.upper()}: {'set (hidden)' if hasattr(value, 'get_secret_value') else value}")
    for slug, agent in settings.file.agents.items():
        approvers = ", ".join(agent.approvers) or "nobody: nothing can be deployed"
        lines.append(f"agent {slug} ({agent.environment}): registry {agent.registry}, approvers: {approvers}")
    if not settings.file.agents:
        lines.append("agents: none in ratchet.toml; nobody is an approver yet")
    return lines


async def _look(settings: Settings, verify_audit: bool) -> int:
    try:
        async with open_ratchet(settings) as ratchet:
            agents = await ratchet.agents.list()
            if verify_audit:
                return await _verify(ratchet, [agent.agent for agent in agents])
            print("database: reachable, schema up to date")
            for agent in agents:
                prompts = ", ".join(sorted(ratchet.prompts.refs(agent))) or "none registered"
                print(f"known agent {agent.agent}: {len(agent.tools)} tools, prompts: {prompts}")
            return 0
    except RatchetError as error:
        print(f"database: {error}", file=sys.stderr)
        return 1


async def _verify(ratchet: Ratchet, agents: list[str]) -> int:
    """Every row, head and anchor of every agent's chain."""
    broken = 0
    for agent in agents:
        versions = await ratchet.registry_of(agent).history()
        anchors = frozenset(
            str(version.metadata["audit_head"]) for version in versions if "audit_head" in version.metadata
        )
        report = await ratchet.audit.verify(agent, anchors)
        if report.problem is None:
            print(f"audit of {agent}: {report.rows} rows, unbroken, head {report.head[:12]}")
        else:
            broken += 1
            print(f"audit of {agent}: BROKEN: {report.problem}", file=sys.stderr)
    if not agents:
        print("audit: no agents yet")
    return 1 if broken else 0
