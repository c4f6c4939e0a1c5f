"""The only place that joins the stages: the run with its measuring, the decision, the deployment worker."""

from __future__ import annotations

from optimizer.loop.decisions import Decisions, Rebased
from optimizer.loop.measuring import Measuring
from optimizer.loop.prompts import Prompts
from optimizer.loop.runs import Runs

__all__ = ["Decisions", "Measuring", "Prompts", "Rebased", "Runs"]
