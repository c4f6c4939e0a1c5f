"""The crash matrix on PromptLayer: every request of a deployment and of its way back, met by every trouble.

A column is one story: deployed or taken back, where the agent follows a label or the newest version. A row is one
request that the undisturbed story makes, with one trouble. Each cell has an agent, a workspace and a process of its
own, which the trouble kills with -9, stops or misleads; a second worker, in the process of the test, takes over when
the lease is over. What is written to the database lies between two requests: a kill at the arrival of the next one
comes right after it, and `test_crashes.py` kills inside, and after the last.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import traceback
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple
from uuid import UUID

from optimizer.db.port import Database
from optimizer.prompts.templates import new_template
from optimizer.records.deployment import Deployment, Follow
from optimizer.records.states import LIVE, UNDER_WAY
from optimizer.registries.port import Registry
from tests.builders import TEXTS, Office, approve, make_item
from tests.contract.deploy.interfered import Interfered
from tests.contract.deploy.killing import opened
from tests.contract.deploy.outcome import NOT_AT_ALL, ONCE, outcome
from tests.contract.registry.on_promptlayer import registry_on
from tests.simulators.promptlayer import Fault, PromptLayer
from tests.simulators.promptlayer_workspace import Prompt

LEASE_SECONDS = 2
_LIMITS: dict[str, Any] = {"request_seconds": 0.6, "call_seconds": 1.7}  # a call ends before the lease, as it should
_END_SECONDS = 30.0  # of anything
_LOOK_SECONDS = 0.15
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


class Column(NamedTuple):
    follow: Follow
    back: bool

    def __str__(self) -> str:
        return f"{self.follow} {'back' if self.back else 'forward'}"


class Trouble(NamedTuple):
    """What becomes of a request, and of the process that sent it, at the moment when it arrives."""

    name: str
    fault: Fault | None = None
    signal: signal.Signals | None = None
    only: tuple[str, ...] = ()  # routes; none: all
    taken_back: bool = False  # before the process wakes
    between: bool = False  # not when a request arrives: right before a call, and after the lease was asked for
    expected: str = ONCE

    def meets(self, column: Column, step: Step) -> bool:
        where = step.route is None if self.between else step.route is not None
        return where and (not self.only or step.route in self.only) and not (self.taken_back and column.back)


class Step(NamedTuple):
    """One request of the undisturbed story, or the moment before a call of the worker."""

    call: str  # that the request belongs to
    route: str | None  # None: nothing was sent yet
    number: int  # of all requests, or of all calls; the first has 1
    again: int = 1  # how often the call has asked for this route

    def __str__(self) -> str:
        return f"{self.call}, nothing sent" if self.route is None else f"{self.call}, {self.route} {self.again}"


_CALLS = {"current": "look", "version": "read back", "publish": "publish", "move_label": "move label"}
_WRITES = ("publish", "move_label")
COLUMNS = [Column(follow, back) for follow in ("label", "latest") for back in (False, True)]
KILLED = (
    Trouble("killed before it was done", Fault.dropped, signal.SIGKILL),
    Trouble("killed after it was done", Fault.dropped_after, signal.SIGKILL, _WRITES),  # a read does nothing
)
MISLED = (
    Trouble("done, and the connection lost", Fault.dropped_after),
    Trouble("done, and answered with 500", Fault.failed_after),
    Trouble("done, and slower than we wait", Fault.slow),
    Trouble("done only after we gave up", Fault.late, only=_WRITES),
    Trouble("said to be done, but protected", only=("move_label",), expected=NOT_AT_ALL),
)
PAUSED = (
    Trouble("paused until another did it", signal=signal.SIGSTOP),
    Trouble("paused until it was taken back", signal=signal.SIGSTOP, taken_back=True),
    Trouble("asleep until another did it", signal=signal.SIGSTOP, between=True),
    Trouble("asleep until it was taken back", signal=signal.SIGSTOP, taken_back=True, between=True),
)
TROUBLES = {"killed": KILLED, "misled": MISLED, "paused": PAUSED}


@dataclass
class Case:
    """One agent whose prompts are in a workspace of its own, with work that waits."""

    column: Column
    api: PromptLayer
    office: Office
    batch_id: UUID

    @property
    def stored(self) -> Prompt:
        return self.api.workspace.prompts["system"]

    async def deployment(self) -> Deployment:
        (deployment,) = await self.office.deployments.batch(self.batch_id)
        return deployment

    async def survive(self) -> Deployment:
        """A second worker: goes on as soon as the lease of the first is over, until nothing is left to do."""
        worker = self.office.worker("survivor", lease_seconds=LEASE_SECONDS)
        async with asyncio.timeout(_END_SECONDS):
            while True:
                await worker.work(self.office.agent)
                one = await self.deployment()
                if one.worker is None and one.state not in UNDER_WAY and (one.stands or one.state not in LIVE):
                    return one
                await asyncio.sleep(_LOOK_SECONDS)


async def begin(column: Column, api: PromptLayer, database: Database, agent: str) -> Case:
    """Approved; for the way back also carried out, and decided to be taken back."""
    for name, text in TEXTS.items():
        api.workspace.publish(name, new_template(text), labels=("prod",))
    office = Office(database, agent=agent, follow=column.follow)
    office.registry = registry_on(api, names=TEXTS)
    item = make_item(1)
    decided = await office.decide(await office.pending([item]), approve(item))
    assert decided.batch_id is not None
    case = Case(column, api, office, decided.batch_id)
    if column.back:
        await office.worker().work(agent)
        assert await office.take_back(await case.deployment())
    return case


async def undisturbed(case: Case) -> list[Step]:
    """Carries it out, and notes each call of the worker, and every request."""
    begun: list[tuple[str, int]] = []  # each call of the worker, and how many requests came before it
    first = len(case.api.requests)

    class Noting(Interfered):
        async def before(self, call: str, prompt: str) -> None:
            begun.append((f"{_CALLS[call]} {self.calls.count(call)}", len(case.api.requests)))

    await case.office.worker(registry=Noting).work(case.office.agent)
    steps: list[Step] = []
    ends = [start for _, start in begun[1:]] + [len(case.api.requests)]
    for number, ((call, start), end) in enumerate(zip(begun, ends, strict=True), 1):
        steps.append(Step(call, None, number))
        asked: Counter[str] = Counter()
        for position in range(start, end):
            route = case.api.requests[position].route
            asked[route] += 1
            steps.append(Step(call, route, position - first + 1, asked[route]))
    return steps


async def disturbed(case: Case, dsn: str, step: Step, trouble: Trouble) -> str | None:
    """The outcome, after the trouble has met this step and everything has come to rest.

    None where the process did not come so far: on a machine that is busy, it may have given up before.
    """
    met, said = _PROCESSES.Event(), _PROCESSES.SimpleQueue()
    pid: Future[int] = Future()
    if not trouble.between:
        case.api.at(len(case.api.requests) + step.number, trouble.fault, lambda: _meet(case, trouble, pid, met))
    asleep = (step.number, met) if trouble.between else None
    process = _PROCESSES.Process(
        target=_work, args=(dsn, case.api.url, case.office.agent, case.column.follow, said, asleep)
    )
    process.start()
    try:
        assert process.pid is not None
        pid.set_result(process.pid)
        back = case.column.back or trouble.taken_back
        await _until_met(process, met)
        if trouble.signal is signal.SIGSTOP and met.is_set():
            deployment = await case.survive()
            if trouble.taken_back:
                assert await case.office.take_back(deployment)
                await case.survive()
            os.kill(process.pid, signal.SIGCONT)  # it stopped long ago: a lease has ended since
        await asyncio.to_thread(process.join, _END_SECONDS)
        killed = trouble.signal is signal.SIGKILL and met.is_set()
        assert process.exitcode == (-signal.SIGKILL if killed else 0), "" if said.empty() else said.get()
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
    if not met.is_set():
        return None
    await case.survive()
    await asyncio.to_thread(case.api.wait_until_quiet)
    deployment = await case.survive()
    return await outcome(case.office, deployment, case.stored, back=back, repeated=trouble.fault is Fault.late)


async def _until_met(process: BaseProcess, met: Event) -> None:
    """Returns when it is met, or the process is over."""
    for _ in range(round(_END_SECONDS / _LOOK_SECONDS)):
        if met.is_set() or process.exitcode is not None:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _meet(case: Case, trouble: Trouble, pid: Future[int], met: Event) -> None:
    """Right when the request has arrived; the process waits for its answer."""
    if trouble.expected == NOT_AT_ALL:
        case.stored.protected.add("prod")
    if trouble.signal is not None:
        os.kill(pid.result(_END_SECONDS), trouble.signal)
    met.set()


def _work(
    dsn: str, url: str, agent: str, follow: Follow, said: SimpleQueue[str], asleep: tuple[int, Event] | None
) -> None:
    """The process that gets into trouble. `asleep`: it stops itself before this call, and says so."""
    try:
        asyncio.run(_worked(dsn, url, agent, follow, asleep))
    except BaseException:
        said.put(traceback.format_exc())
        raise


async def _worked(dsn: str, url: str, agent: str, follow: Follow, asleep: tuple[int, Event] | None) -> None:
    async with opened(dsn) as database:
        office = Office(database, agent=agent, follow=follow)
        office.registry = registry_on(PromptLayer(url=url), names=TEXTS, **_LIMITS)
        worker = office.worker(
            f"in trouble with {agent}",
            lease_seconds=LEASE_SECONDS,
            registry=lambda inner: FallsAsleep(inner, *asleep) if asleep else inner,
        )
        await worker.work(agent)


class FallsAsleep(Interfered):
    """A registry whose caller's process is stopped right before a call."""

    def __init__(self, inner: Registry, number: int, told: Event) -> None:
        super().__init__(inner)
        self._number, self._told = number, told

    async def before(self, call: str, prompt: str) -> None:
        if len(self.calls) == self._number:
            self._told.set()
            os.kill(os.getpid(), signal.SIGSTOP)
