"""Findings become items.

In: the findings of a run, the prompts as they are now, and how earlier items about the same were answered.
Out: numbered items with anchored edits that compose, and what was not proposed, with the reason.
"""
