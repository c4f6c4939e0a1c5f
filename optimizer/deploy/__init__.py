"""Validate, publish, verify, roll back.

In: approved items and what the registry holds. Out: a new version under the label, or a reason; each step is
recorded before and after it is done.
"""
