"""The embedded PostgreSQL: one server per `RATCHET_HOME`, shared by every process that has it open.

In: the folder `RATCHET_HOME`. Out: an `EmbeddedServer` with the `dsn` to connect to.

Three kernel locks (`flock`) in `RATCHET_HOME/postgres/` say who is alive; a lock goes with the process
that holds it, however that process ends, so that nothing here trusts a pid or a file that was left behind.

- `users.lock`: shared by everyone who has the server open; the supervisor takes it exclusively to leave.
- `supervisor.lock`: held by the one supervisor. Whoever can take it, starts a supervisor and hands it over.
- `server.lock`: held by PostgreSQL and all of its processes. Free means that the old server is really gone.
"""

from __future__ import annotations

from optimizer.db.embedded.client import EmbeddedServer, open_embedded

__all__ = ["EmbeddedServer", "open_embedded"]
