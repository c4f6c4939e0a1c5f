"""The terminal: how cards are drawn in it, and how replies are read from it.

`plain` and `lines` need nothing but the standard library: pipes, files, dumb terminals. `styled` (rich) and
`prompt` (prompt_toolkit) are heavy, and are imported only where a person sits before a real terminal.
"""
