"""The run: observe, measure, diagnose, propose, save."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from optimizer.clock import Clock, iso
from optimizer.deploy.plan import untold
from optimizer.diagnose.alarms import spell_window, traffic_alarms
from optimizer.diagnose.rules import Diagnosis, diagnose
from optimizer.errors import RatchetError
from optimizer.loop.measuring import Measured, Measuring
from optimizer.loop.prompts import Prompts
from optimizer.loop.sharing import served_too
from optimizer.loop.watching import Watching
from optimizer.observe.owner.pull import OwnerTables
from optimizer.observe.snapshot import fold_all, take_snapshot
from optimizer.propose.items import Proposal, propose
from optimizer.propose.suppress import rule_starts
from optimizer.records.report import RunReport, RunStatus
from optimizer.records.session import Header
from optimizer.records.snapshot import PromptText, Snapshot
from optimizer.records.window import Window
from optimizer.stores.agents import Agent
from optimizer.stores.audit import audit_body
from optimizer.stores.rollups import RollupStore
from optimizer.stores.sessions import SessionStore
from optimizer.stores.traces import TraceStore

_LEASE_SECONDS = 180  # a run whose process died is in nobody's way for longer
_JOIN_SECONDS = 200  # how long a second caller waits for the run that is under way: longer than the lease
_JOIN_TURN_SECONDS = 2.0  # then it asks again whether it may run itself
_JOIN_STEP_SECONDS = 0.25
_VERDICTS_SHOWN_MAX = 3


@dataclass(frozen=True)
class Runs:
    """Runs of all agents of one database."""

    prompts: Prompts
    sessions: SessionStore
    measuring: Measuring
    watching: Watching
    traces: TraceStore
    rollups: RollupStore
    clock: Clock
    worker_name: str
    owner_tables: OwnerTables
    lease_seconds: int = _LEASE_SECONDS

    async def optimize(
        self,
        agent: str,
        window: Window,
        *,
        exact: bool = False,
        slot: str | None = None,
        dry_run: bool = False,
        requested_by: str | None = None,
    ) -> RunReport:
        """One run. A slot runs once; a second caller of an agent under way gets that run's report.

        `requested_by`: the channel identity of the person who asked for it; None for the schedule.
        """
        started = time.monotonic()
        # Before the run takes its lease: the first pass over a large table takes minutes.
        pulled = await self.owner_tables.pull()
        declared = await self.prompts.declared(agent)
        if dry_run:
            found = await self._look(declared, window, exact, pulled.alarms)
            return found.report("dry_run", time.monotonic() - started)
        run_id = uuid4()
        joined = await self._start(run_id, agent, window, slot)
        if joined is not None:
            return joined
        try:
            await fold_all(self.rollups, agent)
            await self.watching.watch(agent)
            found = await self._look(declared, window, exact, pulled.alarms)
            found = replace(found, requested_by=requested_by)
            severities = {finding.key: finding.severity for finding in found.diagnosis.findings}
            await self.measuring.write_down(found.measured, severities)
            return await self._save(run_id, found, started)
        except BaseException as error:
            await asyncio.shield(self._give_up(run_id, agent, error))
            raise

    async def _look(self, declared: Agent, window: Window, exact: bool, alarms: tuple[str, ...]) -> _Found:
        """Observe, measure, diagnose and propose; writes nothing but rollups."""
        refs = self.prompts.refs(declared)
        current = await self.prompts.current(declared.agent, refs)
        texts = {
            name: PromptText(name, held.version, held.text, held.sha256, refs[name].includes)
            for name, held in current.items()
        }
        await fold_all(self.rollups, declared.agent)  # the resolver looks at folded hours
        resolver = await self.prompts.resolver(declared.agent, refs, current)
        snapshot = await take_snapshot(
            self.prompts.agents,
            self.rollups,
            declared.agent,
            window,
            exact=exact,
            prompts=texts,
            resolver=resolver,
        )
        measured = await self.measuring.verdicts(declared.agent, window, resolver)
        answered = await self.sessions.answered(declared.agent)
        diagnosis = diagnose(snapshot, rule_starts(answered))
        pinned = frozenset(name for name, ref in refs.items() if ref.follow == "pinned")
        proposal = propose(diagnosis.findings, snapshot.facts, texts, pinned, answered, uuid4, self.clock.now())
        touched = {edit["prompt"] for item in proposal.items for edit in item["edits"]}
        traced = await self.prompts.traced(declared.agent, refs, resolver, touched)
        misread = await self.prompts.misread(declared.agent, refs, resolver, touched)
        # The prompts alone that other agents load, too: what they have inside is told with each item.
        also = await served_too(self.prompts, declared.agent, touched, {}, refs)
        newest = await self.traces.newest(declared.agent)
        return _Found(
            snapshot,
            diagnosis,
            proposal,
            measured,
            exact,
            alarms + traffic_alarms(snapshot, newest, exact=exact),
            (
                *(one for some in also.values() for one in some),
                *misread,
                *untold(declared.agent, list(traced.values())),
            ),
        )

    async def _save(self, run_id: UUID, found: _Found, started: float) -> RunReport:
        at = self.clock.now()
        agent = found.snapshot.agent
        status: RunStatus = "pending" if found.proposal.items else "alarm" if found.header.alarms else "quiet"
        report = found.report(status, time.monotonic() - started)
        audit = audit_body(
            "run",
            at=iso(at),
            run_id=str(run_id),
            status=status,
            requested_by=found.requested_by,
            since=iso(report.window.since),
            until=iso(report.window.until),
            items=[{"n": item["n"], "id": item["id"], "key": item["key"]} for item in found.proposal.items],
        )
        result = report.model_dump(mode="json")
        notice = {"kind": f"session_{status}", "session_id": None, "actor": None, "body": result["header"]}
        if status == "pending":
            session = _session_row(found, at, self.prompts.settings.agent(agent).expires_hours)
            notice["session_id"] = session["id"]
            kept = await self.sessions.save(
                run_id, self.worker_name, session, found.proposal.items, result, [notice], audit, at
            )
        else:
            kept = await self.sessions.finish_run(run_id, self.worker_name, "done", result, [notice], audit, at)
        if not kept:
            raise RatchetError(f"The run of {agent!r} was taken over by another worker; look at its session.")
        return report

    async def _give_up(self, run_id: UUID, agent: str, error: BaseException) -> None:
        at = self.clock.now()
        audit = audit_body("run_failed", at=iso(at), run_id=str(run_id), error=type(error).__name__)
        result = {"error": type(error).__name__}
        # Who stops a run knows it.
        told = [{"kind": "run_failed", "session_id": None, "actor": None, "body": result}]
        notices = told if isinstance(error, Exception) else []
        await self.sessions.finish_run(run_id, self.worker_name, "failed", result, notices, audit, at)

    async def _start(self, run_id: UUID, agent: str, window: Window, slot: str | None) -> RunReport | None:
        """Starts the run, or waits for the one that someone else started and answers what it found."""
        waiting_until = time.monotonic() + _JOIN_SECONDS
        while time.monotonic() < waiting_until:
            answer = await self.sessions.start_run(
                run_id, agent, slot, window, self.worker_name, self.lease_seconds, self.clock.now()
            )
            if answer["started"]:
                return None
            report = await self._join(UUID(answer["run"]["id"]))
            if report is not None:
                return report
        raise RatchetError(f"A run of {agent!r} is still under way after {_JOIN_SECONDS} s; try again in a while.")

    async def _join(self, run_id: UUID) -> RunReport | None:
        """What another run found; None while it is under way, and when it failed."""
        for _ in range(round(_JOIN_TURN_SECONDS / _JOIN_STEP_SECONDS)):
            run = await self.sessions.run(run_id)
            if run is not None and run["state"] == "done":
                return RunReport.model_validate(run["result"])
            if run is None or run["state"] == "failed":
                return None
            await asyncio.sleep(_JOIN_STEP_SECONDS)
        return None


@dataclass(frozen=True)
class _Found:
    """What one look found, before it is saved."""

    snapshot: Snapshot
    diagnosis: Diagnosis
    proposal: Proposal
    measured: tuple[Measured, ...]
    exact: bool
    alarms: tuple[str, ...]
    untold: tuple[str, ...]
    requested_by: str | None = None

    @property
    def header(self) -> Header:
        measures = self.snapshot.main.measures
        cost = measures.get("cost_usd")
        return Header(
            span=spell_window(self.snapshot.window, exact=self.exact),
            sessions=measures.get("sessions").n,
            cost_usd_mean=cost.mean if cost.n else None,
            verdicts=tuple(one.verdict for one in self.measured[:_VERDICTS_SHOWN_MAX]),
            exact=self.exact,
            alarms=self.alarms,
            requested_by=self.requested_by,
            untold=self.untold,
        )

    def report(self, status: RunStatus, seconds: float) -> RunReport:
        return RunReport(
            agent=self.snapshot.agent,
            window=self.snapshot.window,
            status=status,
            header=self.header,
            facts=self.proposal.facts,
            items=self.proposal.items,
            watching=self.diagnosis.watching,
            dropped=self.proposal.dropped,
            seconds=round(seconds, 3),
        )


def _session_row(found: _Found, at: datetime, expires_hours: float) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "environment": found.snapshot.environment,
        "expires_at": iso(at + timedelta(hours=expires_hours)),
        "facts": [fact.model_dump(mode="json") for fact in found.proposal.facts],
        "header": found.header.model_dump(mode="json"),
        "watching": [line.model_dump() for line in found.diagnosis.watching],
        "dropped": [one.model_dump() for one in found.proposal.dropped],
    }
