"""Numbers as a person reads them on a phone: `120k`, `$0.044`, `31%`, `9 sessions`."""

from __future__ import annotations

import math


def about(value: float) -> str:
    """Two or three digits: 650 -> `650`, 1234 -> `1.2k`, 120_000 -> `120k`, 2_500_000 -> `2.5M`."""
    size = abs(value)
    if size < 999.5:
        return f"{value:.0f}"
    scaled, unit = (value / 1e3, "k") if size < 999_500 else (value / 1e6, "M")
    return f"{scaled:,.{1 if abs(scaled) < 9.95 else 0}f}".removesuffix(".0") + unit


def tokens(value: float, *, estimated: bool = True) -> str:
    """`~650 tokens` where characters were divided by a ratio, `650 tokens` where a model counted."""
    return f"{'~' if estimated else ''}{about(value)} tokens"


def usd(value: float) -> str:
    """Cents from a dollar on, two digits below: `$1.20`, `$0.044`, `$120`."""
    size = abs(value)
    if size >= 99.995:
        digits = 0
    elif size >= 0.995 or size < 1e-9:
        digits = 2
    else:
        digits = max(2, 1 - math.floor(math.log10(size)))
    return f"{'-' if value < 0 else ''}${size:,.{digits}f}"


def percent(share: float) -> str:
    """0.31 -> `31%`, 0.038 -> `3.8%`. Not quite all is never `100%`, and not quite nothing never `0%`."""
    hundredths = 100.0 * share
    if 0.0 < hundredths < 0.1:
        return "under 0.1%"
    if 99.0 < hundredths < 100.0:
        return "over 99%"
    digits = 1 if abs(hundredths) < 9.95 else 0
    return f"{hundredths:.{digits}f}".removesuffix(".0") + "%"


def change(estimate: float, low: float, high: float) -> str:
    """A relative difference with its interval: `-29.5% (-34 to -24)`."""
    return f"{100 * estimate:+.1f}% ({100 * low:+.0f} to {100 * high:+.0f})"


def count(n: float, noun: str) -> str:
    """`1 session`, `9 sessions`, `1,234 sessions`; a rate below ten keeps one digit: `2.5 sessions`."""
    digits = 1 if n < 10 and round(n, 1) != round(n) else 0
    return f"{n:,.{digits}f} {noun if n == 1 else noun + 's'}"
