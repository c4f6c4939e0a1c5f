"""The special functions that bounds and tests need, with types, and imported when first used.

`scipy.special` takes a tenth of a second to load, which a command that prints its help should not pay.
"""

from __future__ import annotations

import math


def betainc(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    return float(special.betainc(a, b, x))


def betaincinv(a: float, b: float, y: float) -> float:
    """The x at which I_x(a, b) = y."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    return float(special.betaincinv(a, b, y))


def student_tail(t: float, freedom: float) -> float:
    """P(T > t) of Student's distribution."""
    from scipy import special  # pyright: ignore[reportMissingTypeStubs]

    return float(special.stdtr(freedom, -t))


def normal_tail(z: float) -> float:
    """P(Z > z) of the normal distribution."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))
