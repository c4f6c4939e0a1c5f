"""What is noticed after a deployment: seen or not, moved elsewhere by somebody, a reload that was not taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bot.cards.card import Line, Note, Tone
from bot.cards.words import Reader, length, safe
from optimizer.measure.seen import last_changes
from optimizer.records.deployment import Deployment
from optimizer.records.states import DeploymentState
from optimizer.records.watched import Sighting
from optimizer.text.numbers import count

# What became of the deployment that published a version of ours, told beside its number.
_OURS = {
    "failed": "a deployment published it, and failed",
    "halted": "a deployment published it, and was halted",
    "rolled_back": "a deployment that was taken back",
}


class Watched(NamedTuple):
    """A sentence, and what it means or what helps."""

    line: Line
    advice: str | None = None


def watched(kind: str, body: Mapping[str, Any], reader: Reader) -> Watched | None:
    """The words for one notice; None for a kind that is none of these."""
    prompt, new, base = safe(str(body.get("prompt", ""))), f"v{body.get('new_version')}", f"v{body.get('base_version')}"
    match kind:
        case "deployment_seen":
            return _said(f"Seen in traffic: {prompt} {new}, {_after(body)} after it went live.", "good")
        case "rollback_seen":
            again = base if body.get("follow") == "label" else f"the text of {base}"
            return _said(f"Seen in traffic: {prompt} runs {again} again, {_after(body)} after {new} was taken back.")
        case "still_old":
            return _still_old(body, prompt, new)
        case "label_moved":
            return _moved(body, prompt, new, reader)
        case "reload_failed":
            event = f"{new} was taken back" if body.get("back") else f"{new} went live"
            tries = count(int(body.get("tries", 1)), "try").replace("trys", "tries")
            reason = safe(str(body.get("reason", "")), 200).removesuffix(".")
            line = f"The agent was not told to read {prompt} again after {event}: {reason} ({tries})."
            return _said(line, "bad", f"It runs the new text once it reads {prompt} again; restart it to be sure.")
        case _:
            return None


def standing_watched(
    deployments: Sequence[Deployment], sightings: Sequence[Sighting], reader: Reader
) -> Iterator[Line | Note]:
    """What still holds of what was told about these deployments, for the status."""
    noticed = {(one.deployment_id, one.what): one for one in sightings}
    last = {change.deployment.id for change in last_changes(deployments)}
    for one in deployments:
        back = one.state is DeploymentState.rolled_back
        late = noticed.get((one.id, "back_still_old" if back else "still_old"))
        seen = (one.id, "back_seen") in noticed if back else one.seen_at is not None
        place = noticed.get((one.id, "place"))
        late = late if one.id in last and not seen else None
        for kind, sighting in (("still_old", late), ("label_moved", place if one.stands else None)):
            told = watched(kind, sighting.body, reader) if sighting is not None and sighting.value else None
            if told is not None:
                yield told.line
        left = noticed.get((one.id, "left_behind"))
        if left is not None and left.value:
            versions = ", ".join(f"v{safe(version)}" for version in left.value.split(", "))
            yield Note(f"Left in the registry by a deployment, without a label: {safe(one.prompt)} {versions}.")


def _said(text: str, tone: Tone = "plain", advice: str | None = None) -> Watched:
    return Watched(Line(text, tone), advice)


def _after(body: Mapping[str, Any]) -> str:
    return length(datetime.fromisoformat(str(body["seen_at"])) - datetime.fromisoformat(str(body["changed_at"])))


def _still_old(body: Mapping[str, Any], prompt: str, new: str) -> Watched:
    old, fresh = int(body.get("old", 0)), int(body.get("new", 0))
    least = "at least " if body.get("newest_only") else ""
    sessions = f"{least}{count(old, 'session')}"
    if body.get("back"):
        rest = f"{fresh:,} ran the version before" if fresh else "none ran the version before"
        line = f"Still on {prompt} {new}: {sessions} since it was taken back ran it, and {rest}."
    else:
        rest = f"{fresh:,} ran {new}" if fresh else f"none ran {new}"
        line = f"Still on the old version of {prompt}: {sessions} since {new} went live ran an older one, and {rest}."
    advice = (
        f"Restart the agent, or make it read {prompt} again; where its client caches prompts, wait for that to end."
    )
    return _said(line, "bad", advice)


def moved(body: Mapping[str, Any], at: str = "") -> str:
    """`put prod of core on v3 at 14:05 UTC`: what somebody did; `at` with a blank before it."""
    prompt, label, version = safe(str(body.get("prompt", ""))), safe(str(body.get("label") or "")), body.get("version")
    ours = f" ({_OURS.get(str(body['of_deployment']), 'of ours')})" if body.get("of_deployment") else ""
    if version is None:
        return f"took away {f'the label {label}' if label else 'every version'} of {prompt}{at}"
    if not label:
        return f"published {prompt} v{version}{ours}{at}"
    return f"put {label} of {prompt} {'back on' if body.get('is_base') else 'on'} v{version}{ours}{at}"


def _moved(body: Mapping[str, Any], prompt: str, new: str, reader: Reader) -> Watched:
    at = f" at {reader.clock(datetime.fromisoformat(str(body['moved_at'])))}" if body.get("moved_at") else ""
    newest = ", and the agent loads the newest version" if not body.get("label") else ""
    rest = "there is nothing left to take back" if body.get("is_base") else '"rollback" does not overwrite it'
    return _said(
        f"Somebody {moved(body, at)}, where {new} was live{newest}.",
        "bad",
        f"What {prompt} {new} did is measured up to then, and {rest}.",
    )
