"""Pure work on prompt text: edits and their composition, checks, placeholders, tokens, diff.

In comes text of prompts, as it stands in the registry; out come spans, edits, problems and new text.
Nothing here reads or writes anything, and no text is changed except where an edit says so.
"""
