"""An agent's process: `python -m tests.contract.registry.reading DSN AGENT PROMPT LABEL`.

It reads the prompt all the time, and writes a line of JSON when the answer is another one than before. It ends when its
standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time

from optimizer.db.postgres import PostgresDatabase
from optimizer.records.base import sha256_of
from optimizer.registries.reader import open_reader

LOOK_SECONDS = 0.001


async def main(dsn: str, agent: str, prompt: str, label: str) -> None:
    database = PostgresDatabase(dsn, connections_max=1)
    await database.open()
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    said = None
    async with open_reader(database) as reader:
        while not over.is_set():
            version = (await reader.read(agent, prompt, label)).version
            if version != said:
                seen = {"version": version.version, "sha256": version.sha256, "of_text": sha256_of(version.text)}
                # The machine's one monotonic clock: what another process reads off it can be compared.
                print(json.dumps({**seen, "at": time.monotonic()}), flush=True)
                said = version
            await asyncio.sleep(LOOK_SECONDS)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
