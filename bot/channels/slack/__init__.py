"""Slack. `blocks` draws cards, `channel` sends them, `inbound` reads what arrives."""
