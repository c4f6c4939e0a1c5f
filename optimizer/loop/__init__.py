"""The only place that joins the stages: the run with its measuring, the decision, the deployment worker."""

from __future__ import annotations

from optimizer.loop.blame import Blaming
from optimizer.loop.decisions import Decisions, Rebased
from optimizer.loop.freezing import Freezing
from optimizer.loop.measuring import Measuring
from optimizer.loop.prompts import Prompts
from optimizer.loop.reloading import Reloading
from optimizer.loop.runs import Runs
from optimizer.loop.watching import Watching

__all__ = ["Blaming", "Decisions", "Freezing", "Measuring", "Prompts", "Rebased", "Reloading", "Runs", "Watching"]
