"""What a day's sessions set out to do.

Shares are dealt from shuffled decks rather than drawn, so that every day holds the same number of
sessions of each kind: what differs between two days is then what the prompts, or a problem, did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_CATEGORIES = {"howto": 0.4, "listicle": 0.28, "news": 0.18, "opinion": 0.14}
_USER_MESSAGES = {1: 0.62, 2: 0.28, 3: 0.1}
_TOOLS = {
    "research_topic": 0.9,
    "search_posts": 0.5,
    "outline_article": 0.92,
    "write_article": 1.0,
    "check_facts": 0.2,
    "edit_article": 0.34,
    "generate_image": 0.58,
    "write_meta": 0.36,
    "check_seo": 0.68,
    "push_to_ghost": 0.76,
}
# Five calls that take research notes, and little beside them.
_TOOLS_OF_THE_WASTEFUL = {
    "research_topic": 1.0,
    "outline_article": 1.0,
    "write_article": 1.0,
    "check_facts": 1.0,
    "edit_article": 1.0,
    "generate_image": 0.4,
    "write_meta": 1.0,
    "check_seo": 0.68,
    "push_to_ghost": 0.76,
}
_SCHEDULED = 0.35  # of the posts that are pushed
_LINKED = 0.31  # of all sessions
_WASTEFUL = 0.25  # of all sessions
_SIZES = NormalDist(0, 0.35)  # of the logarithm


@dataclass(frozen=True)
class Problems:
    """The planted problems of one day, as far as they lie in the traffic."""

    timeouts: int  # sessions whose write_article times out and is not tried again
    wasteful: bool  # a quarter of the sessions passes its research notes around as text
    links_forgotten: bool  # inject_links is not called


@dataclass(frozen=True)
class Plan:
    """One session before it runs."""

    category: str
    user_messages: int
    size: float  # length of thoughts and tool results: 1.0 is the median
    luck: float  # uniform in (0, 1); below the success rate means success
    tools: frozenset[str]
    wasteful: bool
    times_out: bool


def plans(random: Random, sessions: int, problems: Problems) -> list[Plan]:
    """The plans of one day, in the order in which the sessions start."""
    wasteful = round(_WASTEFUL * sessions) if problems.wasteful else 0
    frugal = sessions - wasteful - problems.timeouts
    linked = 0.0 if problems.links_forgotten else _LINKED * sessions / max(1, wasteful + frugal)
    day = [
        *_group(random, wasteful, {**_TOOLS_OF_THE_WASTEFUL, "inject_links": linked}, {1: 1.0}, wasteful=True),
        *_group(random, problems.timeouts, _TOOLS, {1: 1.0}, times_out=True),
        *_group(random, frugal, {**_TOOLS, "inject_links": linked}, _USER_MESSAGES),
    ]
    random.shuffle(day)
    return day


def _group(
    random: Random,
    count: int,
    tool_shares: Mapping[str, float],
    user_message_shares: Mapping[int, float],
    *,
    wasteful: bool = False,
    times_out: bool = False,
) -> list[Plan]:
    """Plans of one kind; every share is met as well as `count` allows."""
    users = {tool: _draw(random, range(count), share) for tool, share in tool_shares.items()}
    pushing = sorted(users["push_to_ghost"])
    users["schedule_post"] = _draw(random, pushing, _SCHEDULED)
    # A change costs more once the post is in Ghost, so both halves get their share of returning editors.
    keeping = sorted(set(range(count)) - users["push_to_ghost"])
    user_messages = {
        **_deal(random, pushing, user_message_shares),
        **_deal(random, keeping, user_message_shares),
    }
    categories = _deal(random, range(count), _CATEGORIES)
    sizes, lucks = _quantiles(random, count), _quantiles(random, count)
    return [
        Plan(
            category=categories[index],
            user_messages=user_messages[index],
            size=exp(_SIZES.inv_cdf(sizes[index])),
            luck=lucks[index],
            tools=frozenset(tool for tool, members in users.items() if index in members),
            wasteful=wasteful,
            times_out=times_out,
        )
        for index in range(count)
    ]


def _draw(random: Random, members: Sequence[int], share: float) -> set[int]:
    return set(random.sample(members, round(share * len(members))))


def _deal(random: Random, members: Sequence[int], shares: Mapping[T, float]) -> dict[int, T]:
    """A value for each member, each as often as its share says; the last value takes what is left."""
    count, values = len(members), list(shares)
    deck = [value for value in values[:-1] for _ in range(round(shares[value] * count))]
    deck = (deck + [values[-1]] * count)[:count]
    random.shuffle(deck)
    return dict(zip(members, deck, strict=True))


def _quantiles(random: Random, count: int) -> list[float]:
    """The midpoints of `count` equal steps from 0 to 1, in random order."""
    return [(index + 0.5) / count for index in random.sample(range(count), count)]
