"""What a deployment did to live traffic.

In: live deployments and the measures per prompt version, before and after. Out: verdicts, and whether the
new version was seen at all.
"""
