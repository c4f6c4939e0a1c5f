"""The command line. Nothing heavy is imported before the command that needs it is known."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

_OK, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130

_EPILOG = """\
A first look:  ratchet demo
Your agent:    ratchet import traces.jsonl --agent my-agent --prompt system=prompt.md --tools tools.json
               ratchet optimize --agent my-agent && ratchet chat --agent my-agent
"""


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="ratchet",
        description="Makes an LLM agent better every day, with a human holding the lever.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, help_: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help_, description=help_, parents=[common])

    demo = add(
        "demo", "a sample agent's day: traffic, run, conversation, deployment, the measured difference"
    )
    demo.add_argument("--seed", type=int, default=7, help="which day (default: 7)")

    imports = add("import", "load traces (JSON lines, plain or gzip), prompts and tools of an agent")
    imports.add_argument("files", nargs="*", metavar="FILE")
    imports.add_argument("--agent", metavar="SLUG", help="the agent; wins over the one in a line")
    imports.add_argument(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a prompt as it is now; may be repeated",
    )
    imports.add_argument("--tools", metavar="FILE", help="the tools that the agent declares (JSON)")

    optimize = add("optimize", "one run: facts, findings and a pending session")
    optimize.add_argument("--agent", required=True, metavar="SLUG")
    optimize.add_argument(
        "--window", type=float, metavar="HOURS", help="the last so many hours (default: 24)"
    )
    optimize.add_argument("--since", metavar="TIME", help="exact beginning, for example 2026-02-25T06:00:00Z")
    optimize.add_argument("--until", metavar="TIME", help="exact end, not included")
    optimize.add_argument("--n", type=int, metavar="SESSIONS", help="how many sessions an analyst may read")
    optimize.add_argument("--slot", help=argparse.SUPPRESS)
    optimize.add_argument("--dry-run", action="store_true", help="write no session, decision or notice")
    optimize.add_argument("--json", action="store_true", help="print the session as JSON")

    chat = add("chat", "talk about the pending session in this terminal")
    chat.add_argument("--agent", required=True, metavar="SLUG")

    add("parse", "read replies as JSON lines on standard input, write what they mean")

    migrate = add("migrate", "bring the database schema up to date")
    how = migrate.add_mutually_exclusive_group()
    how.add_argument("--into", metavar="DIR", help="copy the migrations into this folder instead")
    how.add_argument("--sql", action="store_true", help="print what is missing as one script instead")

    doctor = add("doctor", "what is configured, reachable and missing")
    doctor.add_argument(
        "--verify-audit", action="store_true", help="recompute the audit chain of every agent"
    )

    rollback = add("rollback", "take the last deployment back")
    rollback.add_argument("--agent", required=True, metavar="SLUG")
    rollback.add_argument("--prompt", metavar="NAME", help="of this prompt only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 1 failed, 2 wrong usage."""
    options = build_parser().parse_args(arguments)
    name = {"import": "imports"}.get(options.command, options.command)
    from optimizer.errors import RatchetError

    try:
        return import_module(f"bot.commands.{name}").run(options)
    except RatchetError as error:
        if options.debug:
            raise
        print(f"ratchet: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has left: there is nobody to tell.
        sys.stderr.close()
        return _FAILED
    except KeyboardInterrupt:
        if options.debug:
            raise
        print(
            "\nratchet: stopped; what was acknowledged is kept, and the next command goes on from there.",
            file=sys.stderr,
        )
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
