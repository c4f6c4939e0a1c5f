"""The command line. Nothing heavy is imported before the command that needs it is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_FAILED, _INTERRUPTED = 1, 130
_MODULES = {"import": "imports", "unfreeze": "freeze"}  # where the command's name is not its module's


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 1 failed, 2 wrong usage."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(given)
        print(end="", flush=True)  # a reader who has left is noticed here, not while Python ends
    except BrokenPipeError:
        return _without_reader()
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in given:
            raise
        return _told(error)
    return code


def _run(given: Sequence[str]) -> int:
    # Imported here, where Ctrl-C is met with a sentence already.
    from importlib import import_module

    from bot.arguments import build_parser

    try:
        options = build_parser().parse_args(given)
    except SystemExit as told:  # help, or what is wrong with the words
        return told.code if isinstance(told.code, int) else 0
    return import_module(f"bot.commands.{_MODULES.get(options.command, options.command)}").run(options)


def _told(error: Exception | KeyboardInterrupt) -> int:
    """Says an error in one sentence; returns the exit code."""
    from optimizer.errors import RatchetError

    code = _FAILED
    match error:
        case RatchetError():
            sentence, code = str(error), error.exit_code
        case KeyboardInterrupt():
            print(file=sys.stderr)  # leaves the line on which the terminal showed ^C
            sentence = "stopped; what was acknowledged is kept, and the next command goes on from there."
            code = _INTERRUPTED
        case OSError():
            where = f" ({error.filename!r})" if error.filename else ""
            sentence = f"{error.strerror or type(error).__name__}{where}; mend that and try again."
        case _:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            sentence = f"a defect of Ratchet ({what}); run it again with --debug and report what that says."
    print(f"ratchet: {sentence}", file=sys.stderr)
    return code


def _without_reader() -> int:
    """Whoever read our output has left: there is nobody to tell, nor anything to write at the end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _FAILED


if __name__ == "__main__":
    sys.exit(main())
