"""`ratchet import`: traces, prompts and tools of an agent into the store."""

from __future__ import annotations

import argparse
import asyncio
import os
import stat
import sys
from contextlib import aclosing
from pathlib import Path

from bot.cards.words import safe
from bot.commands.progress import progress
from optimizer.errors import InputError, UsageError
from optimizer.observe.declare import read_tools
from optimizer.observe.ingest import ImportReport, import_file
from optimizer.observe.register import read_prompt, register_prompts
from optimizer.settings import load_settings
from optimizer.text.slug import SLUG_RULE, is_slug
from optimizer.wiring import Ratchet, open_ratchet


def run(options: argparse.Namespace) -> int:
    if not (options.files or options.prompt or options.tools):
        raise UsageError("Nothing to import; give trace files, --prompt NAME=FILE or --tools FILE.")
    if (options.prompt or options.tools) and not options.agent:
        raise UsageError("--prompt and --tools belong to an agent; name it with --agent SLUG.")
    if options.agent is not None:
        _require_slug("--agent", options.agent)
    texts = _prompts(options.prompt)
    tools = read_tools(Path(options.tools)) if options.tools else None
    paths = [Path(name) for name in options.files]
    for path in paths:
        _check(path)
    return asyncio.run(_import(options.agent, paths, texts, tools))


def _check(path: Path) -> None:
    """Before anything is written: a misspelt name among many must not leave half of them imported."""
    if str(path) == "-":
        raise InputError("Standard input cannot be imported; write the trace lines into a file, and name that.")
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Cannot read {str(path)!r} ({reason}); give the path of a file of traces.") from error
    if not regular:
        raise InputError(
            f"{str(path)!r} is not a file, and folders, pipes and standard input cannot be imported; write the trace "
            "lines (JSON lines, plain or gzip) into a file, and name that."
        )


def _require_slug(option: str, name: str) -> None:
    if not is_slug(name):
        raise UsageError(f"{option} {safe(name)!r} is not a name of {SLUG_RULE}; choose another one.")


def _prompts(given: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for pair in given:
        name, equals, file = pair.partition("=")
        if not (name and equals and file):
            raise UsageError(f"--prompt {pair!r} does not say which file; write it as --prompt NAME=FILE.")
        _require_slug("--prompt", name)
        if name in texts:
            raise UsageError(f"--prompt {name!r} is given twice; name each prompt once.")
        texts[name] = read_prompt(name, Path(file))
    return texts


async def _import(agent: str | None, paths: list[Path], texts: dict[str, str], tools: tuple[object, ...] | None) -> int:
    settings = load_settings()
    async with open_ratchet(settings) as ratchet:
        if agent is not None and (texts or tools is not None):
            await _declare(ratchet, agent, texts, tools)
        complete = True
        for path in paths:
            try:
                report = await _load(ratchet, path, agent)
            except InputError as error:
                # The other files can still be used.
                print(f"ratchet: {error}", file=sys.stderr)
                complete = False
                continue
            _tell(path, report)
            complete = complete and not report.refused_count and not report.truncated
    return 0 if complete else 1


async def _declare(ratchet: Ratchet, agent: str, texts: dict[str, str], tools: tuple[object, ...] | None) -> None:
    # Prompts first: they can be refused, and then nothing has changed.
    prompts = await register_prompts(
        texts,
        agent,
        ratchet.prompts.configured(agent),
        ratchet.registry_of(agent),
        ratchet.agents,
        ratchet.audit,
        ratchet.clock,
    )
    section = ratchet.settings.file.agents.get(agent)
    await ratchet.agents.register(
        agent,
        at=ratchet.clock.now(),
        environment=section.environment if section else None,
        tools=tools,
        escalation_tools=section.escalation_tools if section else None,
    )
    if tools is not None:
        print(f"{agent}: {len(tools)} tools declared.")
    for prompt in prompts:
        if prompt.left is not None:
            live = f"version {prompt.version} is live; the file is version {prompt.left}, so nothing was changed"
            print(f"{agent}: prompt {prompt.name}: {live}.")
            continue
        state = "new" if prompt.is_new else "as before"
        print(f"{agent}: prompt {prompt.name} is version {prompt.version} ({state}).")


async def _load(ratchet: Ratchet, path: Path, agent: str | None) -> ImportReport:
    report = ImportReport()
    async with (
        progress(f"Importing {path.name}", await asyncio.to_thread(os.path.getsize, path)) as step,
        aclosing(import_file(path, ratchet.traces, ratchet.clock, agent=agent)) as reports,
    ):
        read = 0
        async for report in reports:
            step.advance(report.bytes_read - read)
            read = report.bytes_read
    return report


def _tell(path: Path, report: ImportReport) -> None:
    counts = [
        f"{number} {word}"
        for number, word in (
            (report.new, "new"),
            (report.grown, "grown"),
            (report.rated, "rated"),
            (report.known, "known"),
            (report.refused_count, "refused"),
        )
        if number or word in ("new", "known")
    ]
    print(f"{path.name}: {', '.join(counts)}.")
    for refused in report.refused:
        print(f"{path.name}, {refused}", file=sys.stderr)
    if report.refused_count > len(report.refused):
        print(
            f"{path.name}: and {report.refused_count - len(report.refused)} more refused lines.",
            file=sys.stderr,
        )
    if report.truncated:
        print(f"{path.name}: {report.truncated}", file=sys.stderr)
    if report.cleaned:
        print(
            f"{path.name}: {report.cleaned} traces held characters that cannot be stored (NUL, half of a pair); "
            "they were replaced by U+FFFD.",
            file=sys.stderr,
        )
