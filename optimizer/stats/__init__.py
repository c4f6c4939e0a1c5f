"""Pure statistics: exact bounds and tests of shares, a sequential interval, a histogram that merges.

In: counts and sums (n, mean, variance). Out: bounds, p-values, intervals. No I/O, no randomness.
"""
