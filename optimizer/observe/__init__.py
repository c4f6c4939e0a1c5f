"""Observe: trace lines in, and the snapshot of a window out.

In come files of trace lines and what an agent declares (tools, prompts); they are checked, normalised and
stored. Out goes a `Snapshot`: the folded measures of the run's window and of the time before it, and the
facts that they make, with ids.
"""
