"""The measured state of an agent that the rules and the analyst look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from optimizer.records.facts import Fact, Measures
from optimizer.records.window import Window

DAY = timedelta(hours=24)
WEEK = timedelta(days=7)
MONTH = timedelta(days=30)


@dataclass(frozen=True)
class PromptText:
    """One prompt as the registry holds it now."""

    name: str
    version: int
    text: str
    sha256: str
    includes: Mapping[str, str]  # placeholder -> name of the prompt whose text replaces it


@dataclass(frozen=True)
class Look:
    """The measures of one window and of the time just before it."""

    span: timedelta
    window: Window
    measures: Measures
    before: Measures  # the 30 days before the window began


@dataclass(frozen=True)
class Slot:
    """One stretch of time as long as the run's window: what series of windows are made of."""

    window: Window
    sessions: int
    cost_usd: float  # in all; 0.0 where no session carries a cost


@dataclass(frozen=True)
class Snapshot:
    """Everything measured that one run sees. Computed by our code from stored data."""

    agent: str
    environment: str
    window: Window
    main: Look
    wider: tuple[Look, ...]  # 7 d and 30 d, shortest first; empty when the run's times were given exactly
    prompts: Mapping[str, PromptText]
    tools: tuple[str, ...]  # declared by the agent
    escalation_tools: tuple[str, ...]
    characters_per_token: float
    tokens_estimated: bool  # True: prompt tokens are characters by ratio, shown with "~"
    facts: tuple[Fact, ...]  # of the main window
    history: tuple[Slot, ...] = ()  # up to 30 days before the window, at most 60 of its length; newest first

    @property
    def looks(self) -> tuple[Look, ...]:
        return (self.main, *self.wider)
