"""What holds for every text: nothing raises, and nothing deploys that was not plainly ordered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.commands import ItemType, PendingItem, Question, Understood
from bot.conversation.grammar import help_text, parse
from bot.conversation.tokens import CHARACTERS_MAX

_TYPES: tuple[ItemType, ...] = ("prompt_change", "config_change", "code_change")
_ORDERS = (
    "deploy", "deploy all", "deploy 3", "deploy 3 and 4", "deploy 1-5", "ship it", "deploy all but 4",
    "approve 4", "remove 3, deploy", "mute 4, deploy", "deploy 4, show 3",
    "please deploy the prompt changes", "yes, deploy 3", "restore 2, deploy 2", "done 1, deploy 3",
    "publish 3 now",
)  # fmt: skip
_GUARDS = (
    "not", "no", "never", "don't", "dont", "do not", "can't", "won't", "nothing", "none", "wait", "stop",
    "freeze", "unfreeze",
    "cancel", "what", "why", "how", "who", "which", "should", "could", "would", "?", "if", "unless", "when",
    "once", "after", "before", "until", "maybe", "perhaps", "probably", "might", "i think", "or", "either",
    "tomorrow", "later", "on monday", "in 3 hours", "he said", "told", "fwd", '"', "`", "\u201c", "<b>",
)  # fmt: skip
_WORDS = (
    "deploy", "ship", "ship it", "approve", "remove", "restore", "show", "skip", "tell me more about",
    "why", "done", "never", "stop", "undo", "rollback", "put", "back", "run", "snooze", "edit", "all",
    "everything", "nothing", "the rest", "both", "but", "except", "only", "just", "item", "prompt changes",
    "it", "the", "and", "then", "to", "-", ",", ".", "\n", ":", "!", "?", "#", "[", "]", "1", "2", "3", "4",
    "5", "9", "one", "four", "first", "last", "4th", "please", "thanks", "ratchet", "ok", "yes", "no",
    "lgtm", "now", "2h", "hours", "don't", "not", "if", "or", "maybe", "tomorrow", "said", "\U0001f44d",
    "freeze", "unfreeze", "freeze deployments",
    "\U0001f44e", "\u2705", '"', "> ", "zzz",
)  # fmt: skip

_sessions = st.lists(
    st.builds(PendingItem, st.integers(1, 12), st.sampled_from(_TYPES), st.booleans()),
    max_size=8,
    unique_by=lambda item: item.n,
)
_any_character = st.characters(codec=None, exclude_categories=())
_babble = st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join)
_texts = st.one_of(st.text(_any_character, max_size=200), _babble)


@given(st.sampled_from(_ORDERS), st.sampled_from(_GUARDS), st.data(), _sessions)
def test_a_negation_question_condition_hedge_time_or_quote_anywhere_never_deploys(
    order: str, guard: str, data: st.DataObject, pending: list[PendingItem]
) -> None:
    words = order.split(" ")
    place = data.draw(st.integers(0, len(words)))
    text = " ".join([*words[:place], guard, *words[place:]])
    answer = parse(text, pending)
    assert isinstance(answer, Question) or answer.deploys == ()


@given(_texts, _sessions)
def test_only_deployable_numbers_deploy(text: str, pending: list[PendingItem]) -> None:
    answer = parse(text, pending)
    if isinstance(answer, Understood):
        restored = {n for command in answer.commands if command.action == "restore" for n in command.items}
        prompts = {
            item.n for item in pending if item.type == "prompt_change" and (not item.removed or item.n in restored)
        }
        assert set(answer.deploys) <= prompts
        assert list(answer.deploys) == sorted(set(answer.deploys))


@given(_texts, _sessions)
def test_only_a_deploy_command_deploys_and_only_its_own_numbers(text: str, pending: list[PendingItem]) -> None:
    answer = parse(text, pending)
    if isinstance(answer, Understood):
        ordered = {n for command in answer.commands if command.action == "deploy" for n in command.items}
        taken_out = {
            n for command in answer.commands if command.action in ("remove", "mute", "done") for n in command.items
        }
        assert set(answer.deploys) <= ordered - taken_out


@given(_babble, _sessions)
def test_one_unknown_word_is_enough_to_deploy_nothing(text: str, pending: list[PendingItem]) -> None:
    for spoiled in (f"{text} blorp", f"blorp {text}"):
        answer = parse(spoiled, pending)
        assert isinstance(answer, Question) or answer.deploys == ()


@given(_texts, _sessions)
def test_every_reply_that_is_offered_works(text: str, pending: list[PendingItem]) -> None:
    answer = parse(text, pending)
    if isinstance(answer, Question):
        assert 1 <= len(answer.choices) <= 4
        assert len(set(answer.choices)) == len(answer.choices)
        for choice in answer.choices:
            assert isinstance(parse(choice, pending), Understood), choice


@given(_sessions)
def test_every_reply_in_the_help_works_and_fits_a_phone(pending: list[PendingItem]) -> None:
    _, *lines = help_text(pending).splitlines()
    for line in lines:
        assert len(line) <= 40
        for reply in line.split(" \u00b7 "):
            assert isinstance(parse(reply, pending), Understood), reply


@given(st.text(_any_character, min_size=1, max_size=50), _sessions)
def test_a_text_beyond_all_measure_is_asked_about(text: str, pending: list[PendingItem]) -> None:
    answer = parse(text * (100_000 // len(text)), pending)
    assert isinstance(answer, Question)
    assert "too long" in answer.text


@given(_texts, _sessions)
def test_a_question_is_short_and_can_be_printed(text: str, pending: list[PendingItem]) -> None:
    answer = parse(text, pending)
    if isinstance(answer, Question):
        assert len(answer.text) <= 160
        assert answer.text.isprintable()


def test_the_longest_text_that_is_read_is_still_read() -> None:
    pending = [PendingItem(3, "prompt_change")]
    assert isinstance(parse("deploy 3" + "!" * (CHARACTERS_MAX - 8), pending), Understood)
    assert isinstance(parse("deploy," * (CHARACTERS_MAX // 7), pending), Question)
    assert isinstance(parse("\x00\ud800" * (CHARACTERS_MAX // 2), pending), Question)
