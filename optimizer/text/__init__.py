"""Pure work on text for people: numbers as they are said, and foreign text made safe to show.

In: numbers, and text out of traces and prompts. Out: short one-line strings. Nothing here reads or writes.
"""
