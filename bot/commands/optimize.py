"""`ratchet optimize`: one run."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bot.cards.layout import as_text
from bot.cards.session import quiet_card, session_card
from bot.cards.words import Reader
from bot.commands.progress import progress
from bot.identity import console_actor
from optimizer.errors import NotFoundError, UsageError
from optimizer.records.report import RunReport
from optimizer.records.session import Item, Session
from optimizer.records.states import SessionState
from optimizer.records.window import Window
from optimizer.settings import Settings, load_settings
from optimizer.wiring import open_ratchet

_HOURS_MAX = 24 * 3660


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    report, environment, now = asyncio.run(_optimize(options, settings))
    if options.json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=1))
        return 0
    reader = Reader(now, console_actor(), settings.timezone_of(console_actor()))
    if report.items:
        card = session_card(_session(report, environment, now), reader)
    else:
        card = quiet_card(report, environment, reader)
    # Nobody listens here: the replies belong to the conversation.
    print(as_text(replace(card, choices=())))
    if report.status == "pending":
        print(f"\nTalk about it and decide: ratchet chat --agent {shlex.quote(report.agent)}")
    elif report.status == "dry_run":
        print("\nDry run: nothing was written, so there is nothing to answer.")
    return 0


async def _optimize(options: argparse.Namespace, settings: Settings) -> tuple[RunReport, str, datetime]:
    window_of(options, datetime.now(UTC))  # wrong usage is told before a database is opened
    async with open_ratchet(settings) as ratchet:
        now = ratchet.clock.now()
        window, exact = window_of(options, now)
        if not options.dry_run:
            await ratchet.decisions.work(options.agent)  # what a crash left behind counts as the prompts of today
        async with AsyncExitStack() as stack:
            if not options.json:
                await stack.enter_async_context(progress(f"Reading the traces of {options.agent}"))
            try:
                report = await ratchet.runs.optimize(
                    options.agent,
                    window,
                    exact=exact,
                    slot=options.slot,
                    dry_run=options.dry_run,
                    requested_by=None if options.slot else console_actor(),
                )
            except NotFoundError as error:
                if settings.file.traces is None:
                    raise
                raise NotFoundError(
                    f"There is no agent {options.agent!r} in what could be read of your tables; `ratchet doctor` says "
                    "how they are read."
                ) from error
        return report, (await ratchet.agents.get(options.agent)).environment, now


def _session(report: RunReport, environment: str, now: datetime) -> Session:
    """The report as the session that it is, or with --dry-run would be."""
    return Session(
        id=uuid4(),
        agent=report.agent,
        run_id=uuid4(),
        environment=environment,
        since=report.window.since,
        until=report.window.until,
        state=SessionState.pending,
        revision=1,
        created_at=now,
        expires_at=now,
        decided_at=None,
        snoozed_until=None,
        facts=report.facts,
        header=report.header,
        watching=report.watching,
        dropped=report.dropped,
        items=tuple(
            Item.model_validate({"first_seen_at": now, "state": "open", **row, "agent": report.agent})
            for row in report.items
        ),
    )


def window_of(options: argparse.Namespace, now: datetime) -> tuple[Window, bool]:
    """The window that the options name, and whether its times are exact."""
    if options.since is not None or options.until is not None:
        if options.window is not None:
            raise UsageError("Give either --window or --since with --until, not both.")
        if options.since is None or options.until is None:
            raise UsageError("--since and --until belong together; give both, or --window.")
        since, until = parse_time("--since", options.since), parse_time("--until", options.until)
        if since >= until:
            raise UsageError(f"--until {options.until!r} is not after --since {options.since!r}; swap them.")
        return Window(since=since, until=until), True
    hours = 24.0 if options.window is None else options.window
    if not 0 < hours <= _HOURS_MAX:
        raise UsageError(f"--window {hours:g} is not between 0 and {_HOURS_MAX} hours; a day is 24.")
    return Window(since=now - timedelta(hours=hours), until=now), False


def parse_time(option: str, text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{option} {text!r} is not a time; write it as 2026-02-25T06:00:00Z.") from error
