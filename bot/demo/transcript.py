"""The events of one simulated session, with the times, tokens and costs of a real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bot.demo.behaviour import Behaviour, tokens
from bot.demo.calls import Call

MODEL = "claude-haiku-4-5"
# List prices of MODEL in US dollars per million tokens, as of 2025-10-15.
INPUT_USD, CACHED_INPUT_USD, OUTPUT_USD = 1.00, 0.10, 5.00

_RESPONSE_MS_MAX = 20_000


@dataclass
class Transcript:
    """Collects events in the order of their times; every response of the model is paid for."""

    random: Random
    behaviour: Behaviour
    size: float  # 1.0 is a session whose answers have the usual length
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    t_ms: int = 0
    conversation_tokens: int = 0
    call_count: int = 0
    response_count: int = 0

    def user(self, text: str, after_ms: int = 0) -> None:
        self.t_ms += after_ms
        self.conversation_tokens += tokens(len(text))
        self.events.append({"type": "user_message", "t_ms": self.t_ms, "text": text})

    def say(self, text: str) -> None:
        usage = self._respond(tokens(len(text)))
        self.events.append({"type": "assistant_message", "t_ms": self.t_ms, "text": text, **usage})

    def call(self, calls: Sequence[Call]) -> None:
        """One response of the model with one or more calls side by side, and their results."""
        usage = self._respond(sum(tokens(len(str(call.args))) + 12 for call in calls))
        results: list[dict[str, Any]] = []
        for call in calls:
            self.call_count += 1
            head = {"name": call.name, "call_id": f"c{self.call_count}"}
            self.events.append({"type": "tool_call", "t_ms": self.t_ms, **head, "args": call.args, **usage})
            usage = {}
            text = {"error": call.answer} if call.failed else {"text": call.answer}
            end_ms = self.t_ms + call.latency_ms
            results.append({"type": "tool_result", "t_ms": end_ms, **head, "ok": not call.failed, **text})
            self.conversation_tokens += call.result_tokens
        results.sort(key=lambda result: result["t_ms"])
        self.events += results
        self.t_ms = results[-1]["t_ms"]

    def _respond(self, written_tokens: int) -> dict[str, Any]:
        """The usage of one response: everything so far is read again, the tool definitions from the cache."""
        thought_tokens = round(50 * self.size * self.random.lognormvariate(0, 0.3))
        out_tokens = thought_tokens + written_tokens
        in_tokens = self.behaviour.prompt_tokens + self.behaviour.tools_tokens + self.conversation_tokens
        # An entry lives for five minutes: the first response of a session finds none, the others do.
        cached_tokens = self.behaviour.tools_tokens if self.response_count else 0
        self.response_count += 1
        self.conversation_tokens += out_tokens
        self.t_ms += min(_RESPONSE_MS_MAX, round(600 + 11 * out_tokens * self.random.lognormvariate(0, 0.2)))
        micro_usd = (in_tokens - cached_tokens) * INPUT_USD + cached_tokens * CACHED_INPUT_USD
        micro_usd += out_tokens * OUTPUT_USD
        usage: dict[str, Any] = {"tokens_in": in_tokens}
        if cached_tokens:
            usage["tokens_cached"] = cached_tokens
        return usage | {"tokens_out": out_tokens, "cost_usd": round(micro_usd / 1e6, 6)}
