"""The owner's own tables, read where they are.

In come rows of `observability_traces`, `messages` and `agent_config` (whatever they are called), through the mapping
of columns in ratchet.toml. Out go traces in our store, which follow their rows: new, late, grown, corrected, deleted.
Nothing of the owner's is written, locked or changed.
"""
