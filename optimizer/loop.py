"""The only place that joins the stages: the run with its measuring, the decision, the deployment worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from optimizer.approve.door import Decided, Door, Said
from optimizer.approve.machine import Order
from optimizer.approve.people import People
from optimizer.clock import Clock, iso
from optimizer.deploy.plan import make_plan
from optimizer.deploy.worker import Worker
from optimizer.diagnose.rules import Diagnosis, diagnose
from optimizer.errors import RatchetError, UsageError
from optimizer.measure.compare import compare
from optimizer.observe.snapshot import Observer
from optimizer.propose.items import Proposal, propose
from optimizer.propose.suppress import rule_starts
from optimizer.records.deployment import Deployment, Plan, PromptRef, PromptVersion
from optimizer.records.report import RunReport, RunStatus
from optimizer.records.session import Header, Session
from optimizer.records.snapshot import MONTH, PromptText, Snapshot
from optimizer.records.states import LIVE, DeploymentState, ItemState
from optimizer.records.verdict import Outcome, Verdict
from optimizer.records.window import Window, spell
from optimizer.registries.port import Registry
from optimizer.settings import Settings
from optimizer.stores.agents import Agent, AgentStore
from optimizer.stores.audit import AuditStore, audit_body
from optimizer.stores.deployments import DeploymentStore
from optimizer.stores.sessions import SessionStore

_RUN_LEASE_SECONDS = 600
_JOIN_SECONDS = 120  # how long a second caller waits for the run that is under way
_VERDICTS_SHOWN_MAX = 3
_USUAL_SHARE_MIN = 0.3  # of the usual traffic: below this something is wrong with the traces
_USUAL_SESSIONS_MIN = 20


@dataclass(frozen=True)
class Loop:
    """The stages of all agents of one database."""

    settings: Settings
    clock: Clock
    worker_name: str
    agents: AgentStore
    sessions: SessionStore
    deployments: DeploymentStore
    audit: AuditStore
    observer: Observer
    registry_of: Callable[[str], Registry]
    people_of: Callable[[str], People]

    # ---- the run

    async def optimize(
        self, agent: str, window: Window, *, exact: bool = False, slot: str | None = None, dry_run: bool = False
    ) -> RunReport:
        """One run. A slot runs once; a second caller of an agent under way gets that run's report."""
        declared = await self._declared(agent)
        started = time.monotonic()
        if dry_run:
            return (await self._look(declared, window, exact)).report("dry_run", time.monotonic() - started)
        run_id = uuid4()
        answer = await self.sessions.start_run(
            run_id, agent, slot, window, self.worker_name, _RUN_LEASE_SECONDS, self.clock.now()
        )
        if not answer["started"]:
            return await self._join(UUID(answer["run"]["id"]), agent)
        try:
            found = await self._look(declared, window, exact)
            await self._measured(found)
            return await self._save(run_id, found, started)
        except BaseException as error:
            await asyncio.shield(self._give_up(run_id, agent, error))
            raise

    async def _look(self, declared: Agent, window: Window, exact: bool) -> _Found:
        """Observe, measure, diagnose and propose; writes nothing but rollups."""
        refs = self.refs(declared)
        current = await self._current(declared.agent, refs)
        texts = {
            name: PromptText(name, held.version, held.text, held.sha256, refs[name].includes)
            for name, held in current.items()
        }
        snapshot = await self.observer.take(declared, window, texts, await self._history(declared.agent), exact=exact)
        measured = await self._verdicts(declared.agent, window)
        answered = await self.sessions.answered(declared.agent)
        diagnosis = diagnose(snapshot, rule_starts(answered))
        pinned = frozenset(name for name, ref in refs.items() if ref.follow == "pinned")
        proposal = propose(
            diagnosis.findings, snapshot.facts, texts, pinned, answered, uuid4, self.clock.now()
        )
        return _Found(snapshot, diagnosis, proposal, tuple(measured))

    async def _history(self, agent: str) -> tuple[PromptVersion, ...]:
        return await self.registry_of(agent).history()

    async def _verdicts(self, agent: str, window: Window) -> list[tuple[Deployment, Verdict]]:
        """What each live deployment did up to the window's end, newest first."""
        measured: list[tuple[Deployment, Verdict]] = []
        for deployment in await self.deployments.newest(agent):
            if deployment.state not in LIVE or deployment.live_at is None or deployment.live_at >= window.until:
                continue
            before = await self.observer.measures(
                agent, Window(since=deployment.live_at - MONTH, until=deployment.live_at)
            )
            after = await self.observer.measures(agent, Window(since=deployment.live_at, until=window.until))
            measured.append((deployment, compare(deployment, before, after)))
        return measured

    async def _measured(self, found: _Found) -> None:
        """Writes down what was seen in traffic and what it did, once it is new."""
        severity = {finding.key: finding.severity for finding in found.diagnosis.findings}
        for deployment, verdict in found.measured:
            seen = verdict.sessions_after > 0
            is_new = deployment.verdict is None or deployment.verdict.outcome is not verdict.outcome
            if not (seen and (deployment.state is DeploymentState.live or is_new)):
                continue
            at = self.clock.now()
            told = verdict.outcome is not Outcome.not_enough_data
            items = await self._keys(deployment) if told and is_new else {}
            await self.deployments.observe(
                deployment.id,
                seen_at=at,
                verdict=verdict.model_dump(mode="json"),
                severities=[{"id": str(id_), "severity": severity.get(key, 0.0)} for id_, key in items.items()],
                notices=[{"kind": "verdict", "session_id": None, "actor": None, "body": verdict.model_dump(mode="json")}]
                if told and is_new
                else [],
                audit=audit_body("verdict", at=iso(at), **verdict.model_dump(mode="json")),
                at=at,
            )

    async def _keys(self, deployment: Deployment) -> dict[UUID, str]:
        session = await self.sessions.read(deployment.session_id) if deployment.session_id else None
        items = session.items if session else ()
        return {item.id: item.key for item in items if item.id in deployment.items}

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
            since=iso(report.window.since),
            until=iso(report.window.until),
            items=[{"n": item["n"], "id": item["id"], "key": item["key"]} for item in found.proposal.items],
        )
        result = report.model_dump(mode="json")
        notice = {"kind": f"session_{status}", "session_id": None, "actor": None, "body": result["header"]}
        if status == "pending":
            session = _session_row(found, at, self.settings.agent(agent).expires_hours)
            notice["session_id"] = session["id"]
            kept = await self.sessions.save(
                run_id, self.worker_name, session, found.proposal.items, result, [notice], audit, at
            )
        else:
            kept = await self.sessions.finish_run(
                run_id, self.worker_name, "done", result, [notice], audit, at
            )
        if not kept:
            raise RatchetError(f"The run of {agent!r} was taken over by another worker; look at its session.")
        return report

    async def _give_up(self, run_id: UUID, agent: str, error: BaseException) -> None:
        at = self.clock.now()
        audit = audit_body("run_failed", at=iso(at), run_id=str(run_id), error=type(error).__name__)
        await self.sessions.finish_run(
            run_id, self.worker_name, "failed", {"error": type(error).__name__}, [], audit, at
        )

    async def _join(self, run_id: UUID, agent: str) -> RunReport:
        """Waits for the run that someone else started, and answers what it found."""
        for _ in range(_JOIN_SECONDS * 4):
            run = await self.sessions.run(run_id)
            if run is not None and run["state"] == "done":
                return RunReport.model_validate(run["result"])
            if run is None or run["state"] == "failed":
                raise RatchetError(f"The run of {agent!r} that was under way failed; run `ratchet optimize` again.")
            await asyncio.sleep(0.25)
        raise RatchetError(f"A run of {agent!r} is still under way after {_JOIN_SECONDS} s; try again in a while.")

    # ---- the decision

    async def decide(
        self,
        session: Session,
        orders: Sequence[Order],
        said: Said,
        *,
        shown: dict[UUID, str],
        question: UUID | None = None,
        snoozed_until: datetime | None = None,
    ) -> Decided:
        """Through the one door, with a plan made from what the registry holds at this moment."""
        door = Door(self.sessions, self.audit, self.people_of(session.agent), self.plan, self.clock)
        return await door.decide(
            session, orders, said, shown=shown, question=question, snoozed_until=snoozed_until
        )

    async def plan(self, session: Session, wanted: frozenset[UUID]) -> Plan:
        """What approving these items would do now."""
        refs = self.refs(await self._declared(session.agent))
        items = [item for item in session.items if item.id in wanted]
        current = await self._current(session.agent, refs)
        live = frozenset(item.id for item in session.items if item.state is ItemState.deployed)
        return make_plan(items, current, refs, already_live=live)

    async def work(self, agent: str | None = None) -> int:
        """Carries out what was decided and what a crash left behind."""
        return await self._worker().work(agent)

    def _worker(self) -> Worker:
        return Worker(self.worker_name, self.deployments, self.audit, self.registry_of, self.clock)

    async def take_back(
        self, agent: str, deployments: Sequence[Deployment], said: Said, *, question: UUID | None = None
    ) -> bool:
        """Decides a rollback of live deployments; the worker does it. False when someone was faster."""
        at = self.clock.now()
        if not self.people_of(agent).may_take_back(said.actor):
            await self.audit.write(agent, audit_body("refused", at=iso(at), **vars(said), reason="not_allowed"), at)
            raise UsageError(f"{said.actor!r} may not take back deployments of {agent!r}; ask one of its approvers.")
        named = [{"id": str(one.id), "prompt": one.prompt, "version": one.new_version} for one in deployments]
        return await self.deployments.take_back(
            agent,
            deployments,
            {"actor": said.actor, "reason": f"taken back by {said.actor}"},
            question=question,
            notices=[{"kind": "rollback_decided", "session_id": None, "actor": said.actor, "body": {"deployments": named}}],
            audit=audit_body("rollback", at=iso(at), **vars(said), deployments=named),
            at=at,
        )

    async def halt(self, agent: str, said: Said) -> int:
        """Halts what is under way and not live; returns how many deployments were halted."""
        at = self.clock.now()
        if not self.people_of(agent).may_take_back(said.actor):
            raise UsageError(f"{said.actor!r} may not halt deployments of {agent!r}; ask one of its approvers.")
        return await self.deployments.halt(
            agent,
            f"halted by {said.actor}",
            [{"kind": "deployment_halted", "session_id": None, "actor": said.actor, "body": {}}],
            audit_body("halt", at=iso(at), **vars(said)),
            at,
        )

    # ---- what several of them need

    async def _declared(self, agent: str) -> Agent:
        """The agent, with what ratchet.toml says of it."""
        section = self.settings.file.agents.get(agent)
        if section is None:
            return await self.agents.get(agent)
        return await self.agents.register(
            agent, at=self.clock.now(), environment=section.environment, escalation_tools=section.escalation_tools
        )

    def refs(self, declared: Agent) -> dict[str, PromptRef]:
        """How the agent loads its prompts: what ratchet.toml says, else what was registered with the import."""
        configured = {
            name: PromptRef(**prompt.model_dump())
            for name, prompt in self.settings.agent(declared.agent).prompts.items()
        }
        return {**declared.prompts, **configured}

    async def _current(self, agent: str, refs: Mapping[str, PromptRef]) -> dict[str, PromptVersion]:
        registry = self.registry_of(agent)
        return {
            name: await registry.current(name, ref.label if ref.follow == "label" else None)
            for name, ref in refs.items()
        }


@dataclass(frozen=True)
class _Found:
    """What one look found, before it is saved."""

    snapshot: Snapshot
    diagnosis: Diagnosis
    proposal: Proposal
    measured: tuple[tuple[Deployment, Verdict], ...]

    @property
    def header(self) -> Header:
        measures = self.snapshot.main.measures
        cost = measures.get("cost_usd")
        return Header(
            span=spell(self.snapshot.window.until - self.snapshot.window.since),
            sessions=measures.get("sessions").n,
            cost_usd_mean=cost.mean if cost.n else None,
            verdicts=tuple(verdict for _, verdict in self.measured[:_VERDICTS_SHOWN_MAX]),
            alarms=_alarms(self.snapshot),
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


def _alarms(snapshot: Snapshot) -> tuple[str, ...]:
    """Quiet is not blind: no traffic, or far less than usual, is said first."""
    window = snapshot.window
    sessions = snapshot.main.measures.get("sessions").n
    usual = snapshot.main.before.get("sessions").n * ((window.until - window.since) / MONTH)
    span = spell(window.until - window.since)
    if not sessions:
        return (f"No agent sessions in the last {span}: check that traces still arrive.",)
    if usual >= _USUAL_SESSIONS_MIN and sessions < _USUAL_SHARE_MIN * usual:
        return (f"Only {sessions} agent sessions in the last {span}, usually about {usual:.0f}: check the traces.",)
    return ()


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
