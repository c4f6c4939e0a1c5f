"""A prompt sentence by sentence: the text behind a column of versions, and below it who brought each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from bot.cards.card import Block, Card, Gap, Heading, ItemLine, Line, Note, Passage
from bot.cards.facts import fact_sentence
from bot.cards.session import TITLE_CHARACTERS_MAX
from bot.cards.verdict import verdict_words
from bot.cards.words import Reader, safe, subject
from optimizer.prompts.hidden import visible
from optimizer.prompts.sentences import sentences
from optimizer.prompts.templates import block_name
from optimizer.records.blame import Blamed, BlamedGone, BlamedSentence, Brought
from optimizer.records.deployment import Approval
from optimizer.records.states import LIVE, DeploymentState
from optimizer.text.numbers import count

FACTS_MAX = 6  # of one item
_NUMBERS_MAX = 3  # in one tag
_WORDS_CHARACTERS_MAX = 60
_ENDS_CHARACTERS = 40
_ID_CHARACTERS = 8
_PEOPLE_MAX = 6
_TAB = "    "

_Origin = tuple[int, tuple[UUID, ...]]


def blame_card(blamed: Blamed, environment: str, reader: Reader) -> Card:
    """All of the text, then each version that it names, newest first."""
    named = {one.version: one for one in blamed.versions}
    blocks: list[Block] = [Line(_summary(blamed, named)), Gap(), *_text(blamed, named)]
    blocks += [Gap(), Heading("Where it comes from")]
    for place, one in enumerate(blamed.versions):
        blocks += [Gap()] if place and (one.by == "ratchet" or blamed.versions[place - 1].by == "ratchet") else []
        blocks += _version(one, blamed, reader)
    return Card(_header(blamed, environment), tuple(blocks))


def _header(blamed: Blamed, environment: str) -> str:
    runs = {True: ", which runs", False: ", which does not run", None: ""}[blamed.is_running]
    labels = f" (label {', '.join(safe(label) for label in blamed.labels)})" if blamed.labels else ""
    return f"{subject(blamed.agent, environment)}: {safe(blamed.prompt)} v{blamed.version}{runs}{labels}"


def _summary(blamed: Blamed, named: Mapping[int, Brought]) -> str:
    by = Counter(named[one.version].by for one in blamed.sentences)
    told = {"base": "stood there before Ratchet", "ratchet": "came with it", "hand": "came by hand since"}
    parts = [f"{by[who]:,} {what}" for who, what in told.items() if by[who]]
    taken = sum(named[mark.version].by == "ratchet" for mark in blamed.gone)
    places = "one place" if taken == 1 else f"{taken:,} places"
    gone = f" Ratchet took something out in {places}." if taken else ""
    same = f" It has the text of v{blamed.text_of}." if blamed.text_of != blamed.version else ""
    return f"{count(len(blamed.sentences), 'sentence')}: {', '.join(parts) or 'it is empty'}.{gone}{same}"


class _Stretch(NamedTuple):
    """Sentences of one origin that stand on one line; `place` is that of the first."""

    place: int
    text: str
    begins: bool  # the line


def _text(blamed: Blamed, named: Mapping[int, Brought]) -> Iterator[Block]:
    """Line by line; the tag stands where it changes, and after each blank line."""
    tags = _tags(blamed, named)
    width = max((len(tag) for tag in tags.values()), default=0)
    marks: defaultdict[int, list[BlamedGone]] = defaultdict(list)
    for mark in blamed.gone:
        marks[mark.before].append(mark)
    heads = _heads(blamed)
    above: _Origin | None = None
    for stretch in _stretches(blamed, marks):
        one = blamed.sentences[stretch.place]
        for mark in marks.pop(stretch.place, ()):
            yield Passage(tags[_origin(mark)].ljust(width), _taken(mark.text), kind="gone")
            above = None
        if stretch.begins and (name := heads.get(stretch.text)):
            yield from (Gap(), Heading(name)) if stretch.place else (Heading(name),)
            above = None
        elif not stretch.text:
            yield Passage(" " * width, "")
            above = None
        else:
            origin = _origin(one)
            tag = "" if above == origin else tags[origin]
            kind = "new" if named[one.version].by == "ratchet" else "old"
            yield Passage(tag.ljust(width), _seen(stretch.text), stretch.begins, kind)
            above = origin
    for mark in marks[len(blamed.sentences)]:
        yield Passage(tags[_origin(mark)].ljust(width), _taken(mark.text), kind="gone")


def _stretches(blamed: Blamed, marks: Mapping[int, Sequence[BlamedGone]]) -> list[_Stretch]:
    found: list[_Stretch] = []
    for place, text, begins in _rows(blamed):
        if (
            not begins
            and place not in marks
            and _origin(blamed.sentences[place]) == _origin(blamed.sentences[found[-1].place])
        ):
            found[-1] = found[-1]._replace(text=found[-1].text + text)
        else:
            found.append(_Stretch(place, text, begins))
    return found


def _rows(blamed: Blamed) -> Iterator[_Stretch]:
    """Each sentence, its blank lines as rows of their own."""
    begins = True
    for place, one in enumerate(blamed.sentences):
        *whole, rest = one.text.split("\n")
        for row in whole:
            yield _Stretch(place, row.rstrip() if row.isspace() else row, begins)
            begins = True
        if rest:
            yield _Stretch(place, rest, begins)
            begins = False


def _heads(blamed: Blamed) -> dict[str, str]:
    """The lines that name the messages of a template with several texts, and what they say."""
    lines = [one.text.strip() for one in blamed.sentences]
    if not lines or block_name(lines[0]) is None:
        return {}
    fence = lines[0].split()[0]
    named = {line: block_name(line) for line in lines if line.split()[:1] == [fence]}
    return {line: name for line, name in named.items() if name is not None}


def _origin(one: BlamedSentence | BlamedGone) -> _Origin:
    return one.version, one.items


def _tags(blamed: Blamed, named: Mapping[int, Brought]) -> dict[_Origin, str]:
    """`v1`, `v2 [3]`, `v2 [3,4]`."""
    found: dict[_Origin, str] = {}
    for version, items in {_origin(one) for one in (*blamed.sentences, *blamed.gone)}:
        numbered = {item.id: item.n for item in named[version].provenance.items}
        own = sorted(numbered[item] for item in items if item in numbered)
        more = "+" if len(own) > _NUMBERS_MAX else ""
        which = f" [{','.join(str(n) for n in own[:_NUMBERS_MAX])}{more}]" if own else ""
        found[version, items] = f"v{version}{which}"
    return found


def _taken(text: str) -> str:
    pieces = [safe(text[span.start : span.end], _ENDS_CHARACTERS) for span in sentences(text)]
    if len(pieces) == 1:
        return f'(taken out here: "{pieces[0]}")'
    size = f"{count(len(pieces), 'sentence')}, {len(text.strip()):,} characters"
    return f'(taken out here: {size}, from "{pieces[0]}" to "{pieces[-1]}")'


def _seen(text: str) -> str:
    return visible(text.replace("\r", "").replace("\t", _TAB))


def _version(one: Brought, blamed: Blamed, reader: Reader) -> Iterator[Block]:
    or_before = " or before" if one.version == blamed.oldest and blamed.has_older else ""
    at = f", published {reader.clock(one.published_at)}" if one.published_at else ""
    match one.by:
        case "base":
            yield Line(f"v{one.version}{or_before}: base, not by Ratchet{at}.")
        case "hand":
            yield Line(f"v{one.version}{or_before}: by hand{at}.")
        case "ratchet":
            yield Line(f"v{one.version}{or_before}: by Ratchet, {_when(one, reader)}{_by(one, reader)}.", "good")
            yield from _evidence(one)


def _when(one: Brought, reader: Reader) -> str:
    if one.state is None:
        at = f" on {reader.date(one.published_at)}" if one.published_at else ""
        return f"published{at} as its registry tells (this database does not know the deployment)"
    if one.live_at is None:
        return f"never live ({one.state.value.replace('_', ' ')})"
    live = reader.clock(one.live_at)
    if one.state in LIVE:
        return f"live since {live}"
    over = "taken back" if one.state is DeploymentState.rolled_back else one.state.value
    return f"live from {live}, {over}{f' {reader.clock(one.ended_at)}' if one.ended_at else ''}"


def _by(one: Brought, reader: Reader) -> str:
    approvals = one.provenance.approvals[:_PEOPLE_MAX]
    more = len(one.provenance.approvals) - len(approvals)
    people = [_approval(approval, reader) for approval in approvals] + ([f"{more} more"] if more else [])
    did = "approved" if one.kind == "change" else "decided"
    return f", {did} by {' and '.join(people)}" if people else ""


def _approval(one: Approval, reader: Reader) -> str:
    known = one.actor == reader.actor or one.person == one.actor
    name = reader.person(one.actor) if known else safe(one.person)
    channel = safe(one.actor.rpartition(":")[0].partition(":")[0])
    words = f'"{safe(one.words, _WORDS_CHARACTERS_MAX)}"' if one.words else ""
    said = ", ".join(part for part in (channel, words) if part)
    return f"{name} ({said})" if said else name


def _evidence(one: Brought) -> Iterator[Block]:
    back = one.kind != "change"
    if back and one.provenance.items:
        yield Line("It took back:")
    for item in one.provenance.items:
        second = f"by a second yes: {', '.join(safe(check) for check in item.confirmed)}" if item.confirmed else ""
        yield ItemLine(item.n, safe(item.title, TITLE_CHARACTERS_MAX), "" if back else second)
        facts = () if back else item.facts
        for fact in facts[:FACTS_MAX]:
            yield Line(f"- {fact_sentence(fact)}")
        if len(facts) > FACTS_MAX:
            yield Note(f"and {count(len(facts) - FACTS_MAX, 'fact')} more.")
    if one.verdict is not None:
        yield Line(f"v{one.version} in traffic{verdict_words(one.verdict)}")
    ids = {"Session": one.provenance.session_id, "deployment": one.deployment_id}
    told = ", ".join(f"{name} {str(id_)[:_ID_CHARACTERS]}" for name, id_ in ids.items() if id_)
    if told:
        yield Note(f"{told[:1].upper()}{told[1:]}.")
