"""Every error of ours. Each message is one sentence: what, which, and what to do next.

RatchetError
├── UsageError              the caller's words are wrong (exit code 2)
│   └── SettingsError       ratchet.toml or the environment
├── InputError              a file or a line that cannot be used
├── NotFoundError           an agent, session, item or prompt that does not exist
├── DatabaseError
│   ├── DatabaseUnavailable the server cannot be reached, or went away in mid-call
│   ├── CallTooLong         the call took longer than the server, or we, allow: ask for less at once
│   ├── DatabaseConflict    a unique or check constraint refused the write
│   ├── FunctionMissing     the database does not know the SQL function
│   └── SchemaTooOld        the schema is behind this code
├── LeaseLost               what was claimed is another worker's now
├── EmbeddedServerError     the embedded PostgreSQL did not start
└── RegistryError
    ├── PromptNotFound      the registry has no such prompt, version or label
    └── RegistryConflict    someone else moved the label in between
"""

from __future__ import annotations


class RatchetError(Exception):
    """The root of our errors; `exit_code` is what a command ends with."""

    exit_code = 1


class UsageError(RatchetError):
    exit_code = 2


class SettingsError(UsageError):
    pass


class InputError(RatchetError):
    pass


class NotFoundError(RatchetError):
    pass


class DatabaseError(RatchetError):
    pass


class DatabaseUnavailable(DatabaseError):
    """The call may or may not have taken effect; every function may be called again."""


class CallTooLong(DatabaseError):
    """The server undid it, unless it was we who did not wait: then it may or may not have taken effect."""


class DatabaseConflict(DatabaseError):
    pass


class FunctionMissing(DatabaseError):
    pass


class SchemaTooOld(DatabaseError):
    pass


class LeaseLost(RatchetError):
    pass


class EmbeddedServerError(RatchetError):
    pass


class RegistryError(RatchetError):
    pass


class PromptNotFound(RegistryError):
    pass


class RegistryConflict(RegistryError):
    pass
