"""The allow-list: empty means nobody."""

from __future__ import annotations

from optimizer.approve.people import People, people_of
from optimizer.settings import Environment, Settings, parse_values

FILE = {
    "agents": {"blog-writer": {"approvers": ["dana"]}, "other": {}},
    "people": {
        "dana": {"slack": "U1", "whatsapp": "whatsapp:+33600000001"},
        "rui": {"console": "rui"},
    },
}


def people(agent: str) -> People:
    return people_of(Settings(file=parse_values(FILE), environment=Environment()), agent)


def test_an_approver_decides_on_each_of_their_channels() -> None:
    for identity in ("slack:U1", "whatsapp:+33600000001"):
        assert people("blog-writer").may_decide(identity)


def test_a_listed_person_may_take_back_and_not_decide() -> None:
    assert people("blog-writer").may_take_back("console:rui")
    assert not people("blog-writer").may_decide("console:rui")


def test_nobody_decides_where_nobody_is_named() -> None:
    assert not any(people("other").may_decide(identity) for identity in ("slack:U1", "console:rui", "", "slack:"))
    assert people("other").may_take_back("slack:U1")


def test_a_stranger_does_nothing() -> None:
    for identity in ("slack:U2", "U1", "console:U1", "SLACK:U1", "", "dana"):
        assert not people("blog-writer").may_decide(identity)
        assert not people("blog-writer").may_take_back(identity)
