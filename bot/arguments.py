"""The words of the command line: every command with its options, and one sentence for what is none of them.

Nothing but the standard library is imported here: `ratchet --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

_USAGE = 2

_EPILOG = """\
A first look:  ratchet demo
Your agent:    ratchet import traces.jsonl --agent my-agent --prompt system=prompt.md --tools tools.json
               ratchet optimize --agent my-agent && ratchet chat --agent my-agent

Exit codes: 0 done, 1 failed, 2 wrong usage. Settings: ratchet.toml and the environment, see `ratchet doctor`.
"""
_SEED = 7
_PORT = 8080


class Parser(argparse.ArgumentParser):
    """Ends with one sentence on standard error; a word that is nearly right is met with the right one."""

    def __init__(self, **options: Any) -> None:
        # A word that is guessed from its beginning would mean something else when an option is added.
        super().__init__(**options, allow_abbrev=False)
        self._given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._given = sys.argv[1:] if args is None else args
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"{unknown[0]!r} has no meaning here")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {self._misspelt() or message}; see `{self.prog} --help`.", file=sys.stderr)
        sys.exit(_USAGE)

    def _misspelt(self) -> str | None:
        """What is wrong with the first word that is no command or option of this parser."""
        options = list(self._option_string_actions)
        commands = next((one.choices for one in self._actions if isinstance(one, argparse._SubParsersAction)), None)
        for given in self._given:
            word = given.partition("=")[0]
            if word == "--":
                return None
            if word.startswith("--") and word not in options:
                return f"there is no option {word!r}{_nearest(word, options)}"
            if commands is not None and not word.startswith("-"):
                # What follows is for the command's own parser to judge.
                return None if word in commands else f"there is no command {word!r}{_nearest(word, commands)}"
        return None if commands is None else f"name a command: {', '.join(commands)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def build_parser() -> Parser:
    parser = Parser(
        prog="ratchet",
        description="Makes an LLM agent better every day, with a human holding the lever.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, help_: str, more: str = "") -> Parser:
        added = commands.add_parser(
            name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.{more and f' {more}'}"
        )
        # Also behind the command; absent, it does not undo the one before it.
        added.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )
        return added

    demo = add(
        "demo",
        "a sample agent's day: traffic, run, conversation, deployment, the measured difference",
        "Replies come from the keyboard, or from standard input when that is not a terminal.",
    )
    demo.add_argument("--seed", type=_whole, default=_SEED, metavar="N", help=f"which day (default: {_SEED})")
    _import_options(
        add(
            "import",
            "load traces (JSON lines, plain or gzip), prompts and tools of an agent",
            "Given again, nothing changes. Ends with 1 when a line was refused; the others are in.",
        )
    )
    _optimize_options(add("optimize", "one run: facts, findings and a pending session"))
    _agent(add("chat", "talk about the pending session in this terminal"))
    serve = add("serve", "the service: webhooks in, messages out, deployments carried out")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=_positive, default=_PORT, help=f"the port to listen on (default: {_PORT})")
    add("parse", "read replies as JSON lines on standard input, write what they mean")
    _commands_of_operators(add)
    return parser


def _commands_of_operators(add: Callable[..., Parser]) -> None:
    migrate = add("migrate", "bring the database schema up to date")
    how = migrate.add_mutually_exclusive_group()
    how.add_argument("--into", metavar="DIR", help="copy the migrations into this folder instead")
    how.add_argument("--sql", action="store_true", help="print what is missing as one script instead")
    _uninstall_options(
        add(
            "uninstall",
            "export the audit, then take Ratchet out of the database",
            "Drops the schema ratchet, the functions ratchet_... and the view optimization_sessions; nothing else.",
        )
    )
    doctor = add("doctor", "what is configured, reachable and missing")
    doctor.add_argument("--verify-audit", action="store_true", help="recompute the audit chain of every agent")
    _blame_options(
        add(
            "blame",
            "which deployment brought each sentence of a prompt, who approved it, on what evidence",
            "Of the version that runs, unless one is named.",
        )
    )
    add(
        "whatsapp",
        "put the templates for WhatsApp into the Twilio account",
        "Given again, nothing changes; it then shows whether WhatsApp approved them.",
    ).add_argument("what", choices=("setup",), help="create the templates, ask for their approval, show how they stand")
    _add_halts(add)


def _add_halts(add: Callable[..., Parser]) -> None:
    """What stops deployments, and takes them back."""
    freeze = add("freeze", "stop all deployments of an agent", "Whoever is listed may; rollback stays possible.")
    _agent(freeze)
    freeze.add_argument("--reason", default="", metavar="TEXT", help="why: shown to everyone until it is lifted")
    _agent(add("unfreeze", "allow deployments again", "Approvers only."))
    _rollback_options(
        add(
            "rollback",
            "take the last deployment back",
            "Or back to a version by its number, or some items of what was deployed last out of the text of today.",
        )
    )


def _agent(parser: Parser) -> None:
    parser.add_argument("--agent", required=True, metavar="SLUG", help="the agent, by its slug")


def _import_options(parser: Parser) -> None:
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="a file of trace lines; no pipe, and no - for standard input"
    )
    parser.add_argument(
        "--agent",
        metavar="SLUG",
        help="the agent; wins over the one that a line names (letters, digits and . _ - / :, at most 100)",
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a prompt as it is now; may be repeated",
    )
    parser.add_argument("--tools", metavar="FILE", help="the tools that the agent declares (a JSON list)")


def _optimize_options(parser: Parser) -> None:
    _agent(parser)
    parser.add_argument("--window", type=_number, metavar="HOURS", help="the last so many hours (default: 24)")
    parser.add_argument("--since", metavar="TIME", help="exact beginning, for example 2026-02-25T06:00:00Z")
    parser.add_argument("--until", metavar="TIME", help="exact end, not included; UTC where no offset is given")
    parser.add_argument(
        "--n",
        type=_positive,
        metavar="SESSIONS",
        help="how many sessions an analyst reads; without effect as long as rules alone look for findings",
    )
    parser.add_argument("--slot", help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help="write no session, decision or notice")
    parser.add_argument("--json", action="store_true", help="print the session as JSON")


def _blame_options(parser: Parser) -> None:
    parser.add_argument("prompt", metavar="PROMPT", help="the prompt, by its name")
    _agent(parser)
    parser.add_argument("--version", type=_positive, metavar="N", help="another version than the one that runs")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def _uninstall_options(parser: Parser) -> None:
    parser.add_argument(
        "--export", required=True, metavar="FILE", help="where the audit goes (JSON lines); not there yet"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--yes", action="store_true", help="drop without asking first")
    how.add_argument("--sql", action="store_true", help="print the script that drops it instead, to be pasted")


def _rollback_options(parser: Parser) -> None:
    _agent(parser)
    parser.add_argument("--prompt", metavar="NAME", help="the last deployment of this prompt; with --to: which prompt")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--to", type=_positive, metavar="VERSION", help="back to this version")
    how.add_argument(
        "--item",
        action="append",
        default=[],
        type=_positive,
        metavar="N",
        help="out with this item of what was deployed last; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask where more than the last deployment goes")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _positive(text: str) -> int:
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 or more")
    return number
