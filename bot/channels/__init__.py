"""Channels: where a conversation takes place. Each draws cards in its own way and hands in what is said."""
