"""Diagnosis: what is wrong, and how sure that is.

In comes the snapshot of one run; out come the findings, sorted by goal and by what they cost, and the lines
to watch: seen, and not yet sure. `table.RULES` is the table; each rule is pure, names its thresholds and its
reason, and answers with findings that need no statistics (text that stands twice) and with tests. One family
decides over all tests of a run together, so that a quiet agent gets quiet nights.
"""
