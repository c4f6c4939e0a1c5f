"""WhatsApp by Green API, a bridge to an ordinary number. `api` speaks HTTP, `channel` sends, `inbound` reads."""
