"""What every rule needs to say: cited facts, amounts per day, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.diagnose.rule import (
    FAMILY_ALPHA,
    WATCHING_ALPHA,
    WATCHING_CHANGE_ALPHA,
    WATCHING_CHANGE_MIN,
    WATCHING_SESSIONS_MIN,
    WATCHING_TIMES_MIN,
    Test,
)
from optimizer.prompts.tokens import estimate_tokens
from optimizer.records.facts import Measure, Measures
from optimizer.records.findings import CitedFact, Finding, Watching
from optimizer.records.snapshot import Look, Snapshot
from optimizer.records.window import spell
from optimizer.text.excerpt import one_line
from optimizer.text.numbers import count, percent, tokens, usd

# Most vendors charge four to five times as much for a token that the model writes as for one that it reads.
OUTPUT_PRICE_RATIO = 5.0
NAME_CHARACTERS_MAX = 40


@dataclass(frozen=True)
class Evidence:
    """One look of a snapshot, and how to speak of it."""

    snapshot: Snapshot
    look: Look

    @property
    def now(self) -> Measures:
        return self.look.measures

    @property
    def before(self) -> Measures:
        return self.look.before

    @property
    def sessions(self) -> int:
        return self.now.get("sessions").n

    @property
    def is_main(self) -> bool:
        return self.look is self.snapshot.main

    @property
    def span(self) -> str:
        return spell(self.look.span)

    @property
    def within(self) -> str:
        """` in 7d`, where the look is not the run's own window."""
        return "" if self.is_main else f" in {self.span}"

    def per_day(self, total: float) -> float:
        return total / self.look.window.days

    def pace(self, total: float, noun: str) -> str:
        """`9 sessions a day`; where that is less than one, of the whole window: `10 sessions in 30d`."""
        daily = self.per_day(total)
        whole = "this window" if self.is_main else self.span
        return f"{count(round(daily, 1), noun)} a day" if daily >= 1 else f"{count(total, noun)} in {whole}"

    def cite(
        self,
        name: str,
        value: float,
        n: int | None,
        *,
        baseline: float | None = None,
        samples: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
    ) -> CitedFact:
        """The fact as the snapshot lists it, or, where it does not, as it follows from the measures."""
        own = dict(labels or {})
        if not self.is_main:
            own["window"] = self.span
        for fact in self.snapshot.facts:
            if fact.name == name and fact.labels == own:
                value, n, samples = fact.value, fact.n, fact.samples or samples
                baseline = baseline if fact.baseline is None else fact.baseline
                break
        return CitedFact(name=name, labels=own, value=value, n=n, baseline=baseline, samples=samples[:5])

    def tokens_per_step(self) -> float:
        """What one more turn costs: the mean context of a turn, or at least the prompts that it sends."""
        tokens_in, steps = self.now.get("tokens_in"), self.now.get("steps")
        if tokens_in.n and steps.n and steps.mean > 0:
            return tokens_in.mean / steps.mean
        ratio = self.snapshot.characters_per_token
        return float(sum(estimate_tokens(prompt.text, ratio) for prompt in self.snapshot.prompts.values()))

    def usd_of(self, tokens_in: float) -> float | None:
        """Dollars for so many input tokens at the window's own mean price; None where there is no cost."""
        cost, sent, written = (self.now.get(name) for name in ("cost_usd", "tokens_in", "tokens_out"))
        if not cost.n or not sent.n or sent.mean <= 0:
            return None
        priced = sent.mean + OUTPUT_PRICE_RATIO * (written.mean if written.n else 0.0)
        return tokens_in * cost.mean / priced

    def tokens_of(self, usd_spent: float) -> float:
        """Input tokens for so many dollars at the window's own mean price; 0 where there is no price."""
        price = self.usd_of(1.0)
        return usd_spent / price if price else 0.0

    def cost_a_day(self, tokens_a_day: float, *, written: bool = False) -> str:
        """`~120k tokens a day, ~$0.36 a day`, of tokens that the model reads or, with `written`, writes."""
        dollars = self.usd_of(tokens_a_day * (OUTPUT_PRICE_RATIO if written else 1.0))
        said = f"{tokens(tokens_a_day)} a day"
        return said if dollars is None else f"{said}, ~{usd(dollars)} a day"

    def costs(self, tokens_a_day: float) -> str:
        """The same behind a comma; nothing for nothing."""
        return f", {self.cost_a_day(tokens_a_day)}" if tokens_a_day > 0 else ""

    def test(self, key: str, p_value: float, finding: Finding | None, watching: str | None = None) -> Test:
        """A test of this look, with the line to watch if it has one."""
        return Test(
            key=key,
            since=self.look.window.since,
            p_value=p_value,
            finding=finding,
            watching=None if watching is None else Watching(key=key, text=watching + self.within),
        )


def looks(snapshot: Snapshot) -> tuple[Evidence, ...]:
    """The snapshot's looks, the run's own window first."""
    return tuple(Evidence(snapshot, look) for look in snapshot.looks)


def worth_an_item(p_value: float, seen: int, seen_min: float) -> bool:
    """Whether the test may become a finding at all, so that its words are worth making."""
    return p_value <= FAMILY_ALPHA and seen >= seen_min


def worth_a_line(p_value: float, seen: int, expected: float) -> bool:
    """Whether it is worth watching: seen so often, where so much is expected of a healthy agent."""
    return p_value <= WATCHING_ALPHA and seen >= WATCHING_SESSIONS_MIN and seen >= WATCHING_TIMES_MIN * expected


def worth_a_change_line(p_value: float, now: float, before: float) -> bool:
    """Whether a rise is worth watching: hardly chance, and a quarter more than before."""
    return p_value <= WATCHING_CHANGE_ALPHA and now >= WATCHING_CHANGE_MIN * before


def part_of(part: Measure, whole: Measure) -> Measure:
    """The part, no larger than the whole: a result may stand in a session without its call."""
    return replace(part, n=min(part.n, whole.n), total=min(part.total, whole.total))


def share(part: Measure, whole: Measure) -> float | None:
    """Sessions of `part` among those of `whole`; None where there are none."""
    return part.n / whole.n if whole.n else None


def milliseconds(value: float) -> str:
    """`420 ms`, `2.1 s`."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f}".removesuffix(".0") + " s"


def known_before(part: float | None) -> str:
    return "" if part is None else f" (before that {percent(part)})"


def shown(name: str) -> str:
    """A foreign name for a title."""
    return one_line(name, NAME_CHARACTERS_MAX) or "(no name)"
