"""What other people, and Ratchet itself, did meanwhile."""

from __future__ import annotations

from bot.cards.card import Card, Line, Note, Tone
from bot.cards.deployments import TAKE_BACK
from bot.cards.digest import digest_card
from bot.cards.history import decision
from bot.cards.policies import frozen_notice
from bot.cards.verdict import verdict_line
from bot.cards.watched import watched
from bot.cards.ways_back import event_words, order_words
from bot.cards.words import Reader, safe, sentence, subject
from optimizer.records.verdict import Verdict
from optimizer.stores.audit import Notice

_SESSIONS = {
    "session_pending": "A new list waits for a decision.",
    "session_quiet": "A run found nothing new to change.",
    "session_alarm": "A run found something wrong with the traffic itself.",
    "session_expired": "The list expired without a decision.",
}


def notice_card(notice: Notice, agent: str, environment: str, reader: Reader) -> Card:
    """One notice; what this code has no words for is named, never left out."""
    if notice.kind == "week_quiet":
        return digest_card(agent, environment, notice.body)
    noticed = watched(notice.kind, notice.body, reader)
    line = noticed.line if noticed else _line(notice, reader)
    ago = f", {reader.ago(notice.created_at)}"
    line = Line(line.text.removesuffix(".") + f"{ago}.", line.tone)
    change = notice.kind == "deployment_live" and "kind_of_deployment" not in notice.body
    note = TAKE_BACK if change else noticed.advice if noticed else None
    blocks = (line, Note(note)) if note else (line,)
    choices = ("rollback", "status") if change else ("status",)
    if notice.kind == "session_pending":
        choices = ("show all", "skip")
    return Card(subject(agent, environment), blocks, choices)


def _line(notice: Notice, reader: Reader) -> Line:
    body = notice.body
    who = _who(notice, reader)
    prompt, new, base = safe(str(body.get("prompt", ""))), body.get("new_version"), body.get("base_version")
    reason = sentence(str(body.get("reason") or "no reason was recorded"))
    if notice.kind in _SESSIONS:
        tone: Tone = "bad" if notice.kind == "session_alarm" else "plain"
        return Line(_SESSIONS[notice.kind], tone)
    if way := event_words(notice.kind.removeprefix("deployment_"), body):
        return Line(f"{way}.", "bad" if notice.kind == "deployment_failed" else "plain")
    match notice.kind:
        case "decision":
            return Line(f"{who} {decision(body)}.")
        case "rollback_decided":
            ways = [order_words(one) for one in body.get("deployments", ()) if one.get("kind", "change") != "change"]
            return Line(f"{who} took back {', '.join(ways)}." if ways else f"{who} took the last deployment back.")
        case "frozen":
            return frozen_notice(who, body.get("reason"))
        case "unfrozen":
            return Line(f"{who} lifted the freeze: deployments are possible again.", "good")
        case "deployment_halted":
            return Line(f"{who} halted what was not live yet.")
        case "deployment_stopping":
            return Line(f"{who} stopped what is under way; what is live of it already is taken back.")
        case "deployment_live":
            return Line(f"Live: {prompt} v{new} (was v{base}).", "good")
        case "deployment_failed":
            stays = "" if body.get("overtaken") else f", v{base} stays"
            return Line(f"{prompt} did not go live{stays}: {reason}", "bad")
        case "deployment_rolled_back":
            return Line(f"Taken back: {prompt} runs v{base} again, after v{new}.")
        case "rollback_failed":
            return Line(f"{prompt} v{new} could not be taken back: {reason}", "bad")
        case "run_failed":
            error = safe(str(body.get("error") or "no reason was recorded"))
            return Line(f"A run failed ({error}); what waits for a decision stays as it is.", "bad")
        case "verdict":
            return verdict_line(Verdict.model_validate(body))
        case _:
            return Line(f"{safe(notice.kind).replace('_', ' ').capitalize()}.")


def _who(notice: Notice, reader: Reader) -> str:
    """`Dana (slack)`: the channel stands before the colon of an identity."""
    if not notice.actor:
        return "Ratchet"
    who = reader.person(notice.actor)
    channel, colon, _ = notice.actor.partition(":")
    named = f"{who} ({safe(channel)})" if colon and who != "you" else who
    return f"{named[:1].upper()}{named[1:]}"
