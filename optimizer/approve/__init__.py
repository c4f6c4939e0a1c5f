"""The one door for every decision, from any surface.

In: who says what about which session, and the plan that it would carry out. Out: a ruling, and in the same
transaction the new states, the planned deployments, the audit row and the notices.
"""
