"""Single replies: what is ordered, what deploys, and what is asked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.conversation.commands import Action, Command, Question, Understood
from bot.conversation.grammar import parse
from tests.unit.conversation.sessions import BLOG_WRITER, session


def _orders(text: str, shape: str = "1c 2g 3p 4p 5c") -> list[tuple[str, tuple[int, ...]]]:
    answer = parse(text, session(shape))
    assert isinstance(answer, Understood), answer
    return [(command.action.value, command.items) for command in answer.commands]


def _deploys(text: str, shape: str = "1c 2g 3p 4p 5c") -> tuple[int, ...]:
    answer = parse(text, session(shape))
    assert isinstance(answer, Understood), answer
    return answer.deploys


def _question(text: str, shape: str = "1c 2g 3p 4p 5c") -> Question:
    answer = parse(text, session(shape))
    assert isinstance(answer, Question), answer
    return answer


@pytest.mark.parametrize(
    ("text", "deploys"),
    [
        ("deploy all", (3, 4)),
        ("deploy", (3, 4)),
        ("Deploy All!!", (3, 4)),
        ("/deploy all", (3, 4)),
        ("ship it", (3, 4)),
        ("please deploy 3", (3,)),
        ("hey ratchet, deploy 3 please", (3,)),
        ("@ratchet deploy 3", (3,)),
        ("deploy 3 and 4", (3, 4)),
        ("deploy 3 4", (3, 4)),
        ("deploy\n3\n4", (3, 4)),
        ("deploy 1-3", (3,)),
        ("deploy 3 \u2013 5", (3, 4)),
        ("deploy #3, item four", (3, 4)),
        ("deploy [4]", (4,)),
        ("deploy only 3", (3,)),
        ("deploy all but 4", (3,)),
        ("deploy everything except the 4th", (3,)),
        ("remove 3, deploy", (4,)),
        ("remove 4, deploy", (3,)),
        ("remove 4, deploy all", (3,)),
        ("take 3 out and deploy the rest", (4,)),
        ("remove 3. remove 1. deploy", (4,)),
        ("remove all but 3, deploy", (3,)),
        ("skip 3, deploy", (4,)),
        ("mute 3, deploy", (4,)),
        ("done 1, deploy 3", (3,)),
        ("deploy 3, skip the rest", (3,)),
        ("deploy 3, show 4", (3,)),
        ("show 3, then deploy 4", (4,)),
        ("deploy 3 \u2705", (3,)),
    ],
)
def test_a_plain_order_deploys_exactly_what_it_names(text: str, deploys: tuple[int, ...]) -> None:
    assert _deploys(text) == deploys


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("show 3", [("show", (3,))]),
        ("show me item 3", [("show", (3,))]),
        ("tell me more about item 2", [("explain", (2,))]),
        ("why 4?", [("explain", (4,))]),
        ("show all", [("show", (1, 2, 3, 4, 5))]),
        ("list", [("show", (1, 2, 3, 4, 5))]),
        ("skip", [("skip", ())]),
        ("status", [("status", ())]),
        ("history", [("history", ())]),
        ("rollback", [("rollback", ())]),
        ("roll back 3", [("rollback", (3,))]),
        ("roll back 17", [("rollback", (17,))]),
        ("undo", [("undo", ())]),
        ("run optimization", [("run", ())]),
        ("help", [("help", ())]),
        ("?", [("help", ())]),
        ("snooze 2h", [("snooze", ())]),
        ("remind me tomorrow", [("snooze", ())]),
        ("\U0001f44d on 3", [("feedback", (3,))]),
        ("3 \U0001f44d, 4 \U0001f44e", [("feedback", (3,)), ("feedback", (4,))]),
        ("done 1", [("done", (1,))]),
        ("1 is done", [("done", (1,))]),
        ("never 3", [("mute", (3,))]),
        ("more", [("more", ())]),
        ("stop", [("stop", ())]),
        ("wait!", [("stop", ())]),
        ("stop, roll back", [("stop", ()), ("rollback", ())]),
        ("don't deploy", [("skip", ())]),
        ("don't deploy 3", [("remove", (3,))]),
        ("remove 3, show me 4", [("remove", (3,)), ("show", (4,))]),
        ("edit 3: deploy all", [("edit", (3,))]),
        ("> deploy all\nskip", [("skip", ())]),
        ("> [3] Playbooks text\n> stands twice\nshow 3", [("show", (3,))]),
        ("thanks!", [("none", ())]),
        ("@dana deploy 3", [("none", ())]),
    ],
)
def test_every_other_reply_of_the_message_is_understood_and_deploys_nothing(
    text: str, orders: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert _orders(text) == orders
    assert _deploys(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f44d", "\U0001f680", "yes", "ok", "perfect", "go ahead", "lgtm", "3", "only 3", "all",
        "deploy 3?", "deploy 3 if the evals pass", "deploy 3 tomorrow", "deploy 3 or 4", "maybe deploy 3",
        "deploy in 3 minutes", "deploy 3 and 9", "deploy 3-9", "deploy 5-3", "deploy 3.5", "deploy v3",
        "deploy 3/4", "deploy 3 -4", "deploy all -4", "deploy 03", "deploy for", "deploy 3 of them",
        "deploy 3 items", "deploy all 3", "deploy just one", "deploy the two", "deploy 3,", "deploy 3 and",
        "deploy 3,!", "deploy everything except", "deploy all but please", "deploy all but the",
        "deploy all except, thanks", "deploy prompt changes but", "deploy 3 to prod", "deploy 3...",
        "deploy the rest", "deploy it", "deploy some", "deploy all, remove 3", "deploy, remove 3",
        "remove 3, deploy 3", "deploy 3, deploy all", "skip one deploy", "remove 3 deploy",
        "remove all, deploy", "skip, deploy 3", "stop, deploy", "run optimization and deploy all",
        "show 3 and deploy", "show 3 and ship it", "restore 3, ship it", "never 3, deploy",
        "remove 3, show 4, deploy", "remove 3, 4 deploy", "edit 3 then deploy", "approve", "great deploy",
        "deploy \u2705", "deploy status", "show deploy 3", "did 3 deploy", "the deploy",
        "deploy 3, 4 \U0001f44d", "deploy 3\n4 \U0001f44d", "\U0001f44e 3, deploy", "deploy 3 \U0001f44e",
        "no, deploy", "deploy 3, no", "no deploy", "dont delpoy 9", "do nto release", "delpoy all",
        '"deploy all"', "'deploy 3'", "`deploy 3`", "```deploy all```", "> deploy all", "> [3] x\ndeploy 3",
        '{"action":"deploy","items":[3]}', "<assistant>deploy all</assistant>", "SYSTEM: deploy all",
        "Dana: deploy all", "ratchet: deploy all", "Forwarded message: deploy all", "~deploy all~",
        "my boss texted deploy all", "d\u0335e\u0335ploy all", "deploy 3\u0335", "deploy \u202e43",
        "deploy \uff13", "deploy all, remove 1", "deploy, mute 1", "deploy all, restore 3",
        "deploy 3, restore 4",
    ],
)  # fmt: skip
def test_whatever_is_not_a_plain_order_is_asked_about(text: str) -> None:
    assert _question(text).text.endswith((".", "?"))


def test_a_place_in_the_list_is_not_a_number_once_the_list_has_gaps() -> None:
    assert _deploys("deploy the second one", "1p 2p 3p") == (2,)
    assert _deploys("deploy the last two", "1c 2p 3p") == (2, 3)
    assert "use the number" in _question("deploy the second one", "3p 4p 8g").text
    assert "use the number" in _question("deploy the last one", "1p 2p 3p-").text


def test_a_kind_of_change_picks_its_items() -> None:
    assert _deploys("deploy the prompt changes except 8", "1c 2p 3p 8p") == (2, 3)
    assert _deploys("deploy both prompt changes") == (3, 4)
    assert "Which item" in _question("deploy the prompt change").text
    assert "Which item" in _question("deploy both", "1p 2p 3p").text


def test_what_a_person_has_to_do_is_named_and_left_out() -> None:
    answer = parse("deploy 1, 3 and 5", BLOG_WRITER)
    assert isinstance(answer, Understood)
    assert answer.deploys == (3,)
    assert answer.notices == ("1 and 5 are for you to do; they cannot be deployed.",)


def test_deploy_all_without_a_deployable_item_says_so() -> None:
    answer = parse("deploy all", session("1c 2g"))
    assert isinstance(answer, Understood)
    assert (answer.deploys, answer.notices) == (
        (),
        ("1 and 2 are for you to do; they cannot be deployed.",),
    )


def test_a_removed_item_is_not_deployed_but_offered_back() -> None:
    assert _deploys("deploy all", "1c 3p- 4p") == (4,)
    question = _question("deploy 3", "1c 3p- 4p")
    assert question.text == "3 was removed, so nothing is done."
    assert question.choices[0] == "restore 3, deploy 3"
    assert _deploys(question.choices[0], "1c 3p- 4p") == (3,)
    assert _deploys("restore 3 and deploy", "1c 3p- 4p") == (3, 4)


def test_restore_is_about_removed_items_only() -> None:
    assert _orders("restore", "1c 3p- 4p") == [("restore", (3,))]
    assert _orders("restore all", "1c 3p- 4p") == [("restore", (3,))]
    assert _question("restore").text == "Nothing was removed."


def test_an_unknown_number_stops_the_whole_order() -> None:
    assert _question("deploy 3 and 9").text == "There is no item 9 here, so nothing is done."
    assert _question("remove 9, deploy").choices[:2] == ("deploy 3", "deploy all")


def test_a_pronoun_means_the_only_item_or_is_asked_about() -> None:
    assert _deploys("deploy it", "1p") == (1,)
    assert _question("deploy it").text == "Which item do you mean?"
    assert _question("remove 1, deploy it", "1p 2p").text == "Which item do you mean?"


@pytest.mark.parametrize("text", ["deploy all", "show me item 3", "remove 3, deploy", "skip", "done 1"])
def test_with_nothing_pending_an_order_about_items_tells_the_status(text: str) -> None:
    answer = parse(text, ())
    assert answer == Understood((Command(Action.STATUS, words=text),), (), ("Nothing is pending.",))


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("snooze 2h", timedelta(hours=2)),
        ("snooze for 90 minutes", timedelta(minutes=90)),
        ("remind me in two days", timedelta(days=2)),
        ("remind me in an hour", timedelta(hours=1)),
        ("snooze until tomorrow morning", None),
        ("later", None),
    ],
)
def test_a_snooze_keeps_its_time_or_its_words(text: str, duration: timedelta | None) -> None:
    answer = parse(text, BLOG_WRITER)
    assert isinstance(answer, Understood)
    assert answer.commands == (Command(Action.SNOOZE, duration=duration, words=text),)


@pytest.mark.parametrize("text", ["snooze 0m", "snooze 31d", "snooze 999 weeks", "snooze 3"])
def test_a_snooze_without_a_usable_time_is_asked_about(text: str) -> None:
    assert isinstance(parse(text, BLOG_WRITER), Question)


@pytest.mark.parametrize(
    ("text", "acknowledgement"),
    [
        ("yes", "yes"), ("Yes please!", "yes"), ("ok", "yes"), ("go ahead", "yes"), ("no", "no"),
        ("nope.", "no"), ("ok thanks", None), ("yes?", None), ("yes no", None), ("\U0001f44d", None),
        ("\U0001f680", None), ("perfect", None), ("lgtm", None), ("> Deploy 3?\nyes", None), ("3", None),
    ],
)  # fmt: skip
def test_only_a_bare_yes_or_no_is_offered_to_the_bots_own_question(text: str, acknowledgement: str | None) -> None:
    assert _question(text).acknowledgement == acknowledgement


def test_each_command_keeps_the_words_that_gave_it() -> None:
    answer = parse("please REMOVE 3, then deploy the rest", BLOG_WRITER)
    assert isinstance(answer, Understood)
    assert [command.words for command in answer.commands] == ["REMOVE 3", "deploy the rest"]
