"""Whom the server runs as."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import NamedTuple

from optimizer.db.embedded.folder import Folder
from optimizer.errors import EmbeddedServerError


class ServerUser(NamedTuple):
    """Whom initdb and postgres run as, when that is not ourselves."""

    uid: int
    gid: int


def choose_user(folder: Folder) -> ServerUser | None:
    """PostgreSQL refuses to run as root: then the data's owner, the home's owner, `postgres`, or `nobody`.

    Raises:
        EmbeddedServerError: there is none of these users.
    """
    if os.geteuid() != 0:
        return None
    if folder.data.exists():
        owner = folder.data.stat()
        if owner.st_uid != 0:
            return ServerUser(owner.st_uid, owner.st_gid)
    home_owner = folder.path.stat().st_uid
    if home_owner != 0:
        with contextlib.suppress(KeyError):  # initdb refuses a user without a name
            found = pwd.getpwuid(home_owner)
            return ServerUser(found.pw_uid, found.pw_gid)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return ServerUser(found.pw_uid, found.pw_gid)
    raise EmbeddedServerError(
        "The embedded PostgreSQL cannot run as root and there is no user 'postgres' or 'nobody'; "
        "create one, or run as an ordinary user."
    )
