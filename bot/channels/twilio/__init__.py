"""WhatsApp by Twilio. `api` speaks HTTP, `channel` sends, `inbound` reads what arrives."""
