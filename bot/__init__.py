"""The conversation: channels, replies, the command line. It stands on `optimizer`."""
