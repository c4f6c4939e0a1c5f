"""`ratchet whatsapp setup`: the templates without which nobody can be written to outside the 24 h window."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence

from bot.cards.words import safe
from bot.channels.twilio.setup import Standing, open_contents
from optimizer.errors import SettingsError
from optimizer.settings import Environment, load_settings

_LINE_MAX = 500
_REFUSED = frozenset({"rejected", "disabled", "paused"})


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_setup(load_settings().environment))


async def _setup(environment: Environment) -> int:
    account, token = environment.twilio_account_sid, environment.twilio_auth_token
    if account is None or token is None:
        missing = "TWILIO_ACCOUNT_SID" if account is None else "TWILIO_AUTH_TOKEN"
        raise SettingsError(f"{missing} is not set; set it as the Twilio console shows it, then run this again.")
    async with open_contents(account, token.get_secret_value(), environment.twilio_base_url) as contents:
        standings = await contents.put_all()
    for line in told(standings, environment):
        print(safe(line, _LINE_MAX))
    refused = [one for one in standings if one.status in _REFUSED]
    for one in refused:
        why = f": {one.reason}" if one.reason else ""
        print(safe(f"{one.template.name} cannot be sent, WhatsApp says {one.status}{why}", _LINE_MAX), file=sys.stderr)
    return 1 if refused else 0


def told(standings: Sequence[Standing], environment: Environment) -> Iterator[str]:
    """How each template stands, then the lines that `.env` lacks."""
    for one in standings:
        needed = one.status or "needs no approval: it is sent within 24 h of the person's own message"
        yield f"{one.template.name}: {needed}"
    lines = [
        f"{one.template.variable}={one.sid}"
        for one in standings
        if getattr(environment, one.template.variable.lower()) != one.sid
    ]
    if lines:
        yield "Put into .env:"
        yield from lines
    else:
        yield ".env names them already."
    if any(one.status not in ("", "approved", *_REFUSED) for one in standings):
        yield "WhatsApp decides within minutes to a day; run this again to see what it said."
