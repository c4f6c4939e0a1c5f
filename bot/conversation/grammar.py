"""The reply grammar: words to orders, pure and deterministic.

Four steps, each in its own module: `tokens` (characters to tokens), `vocabulary` (tokens to lexemes, by the
table of a language), `clauses` and `targets` (lexemes to clauses), `resolve` (clauses and pending items to
orders). It is strict: one word that it does not know, and it asks back. A last check stands behind all of
them: a reply with a negation, a question, a condition, a hedge, a time, an "or" or a quote never deploys.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

from bot.conversation import asking
from bot.conversation.asking import help_text
from bot.conversation.clauses import THUMB_UP, Reading, read_message
from bot.conversation.commands import Action, Command, PendingItem, Question, Understood
from bot.conversation.resolve import named_numbers, resolve
from bot.conversation.tokens import CHARACTERS_MAX, Token, TokenKind, has_quoted_line, readable, tokenize
from bot.conversation.vocabulary import DENIALS, Lexeme, Role, Vocabulary, guard_in, mark_prompts, read_lexemes
from bot.conversation.vocabulary_en import ENGLISH

__all__ = ["help_text", "parse"]

_SUGGESTION_CHARACTERS_MAX = 60
_TYPO_LETTERS_MIN = 4
_TYPO_LIKENESS_MIN = 0.75


def parse(text: str, pending: Sequence[PendingItem], prompts: Collection[str] = ()) -> Understood | Question:
    """What `text` orders about `pending`, or the question to ask back. Never raises on any text.

    `prompts`: the names by which a prompt may be called.
    """
    if len(text) > CHARACTERS_MAX:
        return asking.ask(asking.TOO_LONG, pending)
    text = readable(text)
    vocabulary = replace(ENGLISH, prompts=tuple(prompts)) if prompts else ENGLISH
    answer, lexemes = _understand(text, pending, vocabulary)
    if isinstance(answer, Question) and any(lexeme.role is Role.UNKNOWN for lexeme in lexemes):
        return _suggest(answer, text, lexemes, pending, vocabulary)
    return answer


def _understand(
    text: str, pending: Sequence[PendingItem], vocabulary: Vocabulary
) -> tuple[Understood | Question, tuple[Lexeme, ...]]:
    text = _without_slash(text)
    tokens = tokenize(text)
    lexemes = mark_prompts(read_lexemes(tokens, vocabulary), text, vocabulary.prompts)
    guard = Role.QUOTE if has_quoted_line(text) else guard_in(tokens, vocabulary)
    if not lexemes:
        return asking.ask(_guard_text(guard) if guard else asking.EMPTY, pending), lexemes
    if all(lexeme.role is Role.ASKING and lexeme.text == "?" for lexeme in lexemes):
        return Understood((Command(Action.HELP, words=text),)), lexemes
    if all(lexeme.role is Role.THUMB for lexeme in lexemes):
        liked = all(lexeme.text == THUMB_UP for lexeme in lexemes)
        return asking.ask(asking.BARE_THUMB, pending, denied=not liked), lexemes
    if lexemes[0].role is Role.MENTION and len(lexemes) > 1:
        if lexemes[1].text not in vocabulary.names:
            return Understood((Command(Action.NONE, words=text),)), lexemes
        reading = read_message(lexemes[1:])
    else:
        reading = read_message(lexemes)
    return _answer(reading, text, pending, guard, tokens), lexemes


def _answer(
    reading: Reading, text: str, pending: Sequence[PendingItem], guard: Role | None, tokens: tuple[Token, ...]
) -> Understood | Question:
    numbers = tuple(sorted({int(token.text) for token in tokens if token.kind is TokenKind.NUMBER}))
    if not reading.complete:
        return asking.ask(_why_not(reading, guard, numbers), pending, numbers, denied=guard in DENIALS)
    if not reading.clauses:
        return _answer_manners(reading, text, pending, quoted=guard is Role.QUOTE)
    answer = resolve(reading.clauses, pending, text, asked=reading.asked, denied=guard in DENIALS)
    if isinstance(answer, Question):
        return answer
    lifts = any(command.action is Action.UNFREEZE for command in answer.commands)
    if guard and (answer.deploys or lifts):
        named = named_numbers(reading.clauses)
        return asking.ask(_guard_text(guard), pending, named, denied=guard in DENIALS)
    return answer


def _why_not(reading: Reading, guard: Role | None, numbers: tuple[int, ...]) -> str:
    if guard:
        return _guard_text(guard)
    if reading.stuck is None:
        return asking.what_about(numbers) if numbers and not reading.clauses else asking.EARLY_END
    if reading.stuck.role is Role.UNKNOWN:
        return asking.unknown_word(reading.stuck.text)
    return asking.misplaced_word(reading.stuck.text)


def _guard_text(guard: Role) -> str:
    return asking.GUARD_TEXTS[guard]


def _answer_manners(
    reading: Reading, text: str, pending: Sequence[PendingItem], *, quoted: bool
) -> Understood | Question:
    """A reply without an order: a greeting, thanks, or a bare acknowledgement, which never deploys."""
    roles = {lexeme.role for lexeme in reading.opening}
    acknowledgement: Literal["yes", "no"] | None = None
    if not roles & {Role.YES, Role.NO, Role.CHEER, Role.EMOJI, Role.THUMB, Role.ASKING}:
        return Understood((Command(Action.NONE, words=text),))
    if not roles & {Role.CHEER, Role.EMOJI, Role.THUMB, Role.THANKS, Role.ASKING, Role.FILLER}:
        if Role.NO not in roles and not quoted:
            acknowledgement = "yes"
        elif Role.NO in roles and Role.YES not in roles:
            acknowledgement = "no"
    bare = {Role.NO: asking.BARE_NO, Role.YES: asking.BARE_YES}
    sentence = next((told for role, told in bare.items() if role in roles), asking.BARE_CHEER)
    return replace(asking.ask(sentence, pending, denied=Role.NO in roles), acknowledgement=acknowledgement)


def _suggest(
    question: Question,
    text: str,
    lexemes: tuple[Lexeme, ...],
    pending: Sequence[PendingItem],
    vocabulary: Vocabulary,
) -> Question:
    """The same question, with the reply that a misspelt verb seems to have meant; it is only offered."""
    text = _without_slash(text)
    if len(text) > _SUGGESTION_CHARACTERS_MAX:
        return question
    pieces: list[str] = []
    last, first_unknown = 0, ""
    for lexeme in lexemes:
        if lexeme.role is not Role.UNKNOWN:
            continue
        close = get_close_matches(lexeme.text, vocabulary.verbs, n=1, cutoff=_TYPO_LIKENESS_MIN)
        if len(lexeme.text) < _TYPO_LETTERS_MIN or not close:
            return question
        pieces += [text[last : lexeme.start], close[0]]
        last, first_unknown = lexeme.end, first_unknown or lexeme.text
    reply = " ".join("".join([*pieces, text[last:]]).split())
    meant, _ = _understand(reply, pending, vocabulary)
    if isinstance(meant, Question):
        return question
    choices = (reply, *(choice for choice in question.choices if choice != reply))[:4]
    return replace(question, text=asking.did_you_mean(first_unknown, reply), choices=choices)


def _without_slash(text: str) -> str:
    """ "/deploy all" is the same order as "deploy all"."""
    stripped = text.strip()
    return stripped[1:] if stripped.startswith("/") and stripped[1:2].isalpha() else stripped
