"""The two special functions that exact bounds need, with types, and imported when first used.

`scipy.special` takes a tenth of a second to load, which a command that prints its help should not pay.
"""

from __future__ import annotations


def betainc(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    return float(special.betainc(a, b, x))


def betaincinv(a: float, b: float, y: float) -> float:
    """The x at which I_x(a, b) = y."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    return float(special.betaincinv(a, b, y))
