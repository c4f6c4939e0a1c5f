"""The prompt registry port and its adapters.

In: a prompt's name, a label or a version. Out: its text, or a new version and a moved label.
"""
