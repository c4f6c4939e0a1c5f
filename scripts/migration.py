"""Writes `migrations/<date>_<name>.sql` with every function whose source changed since its last migration."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

MIGRATIONS = Path(__file__).parents[1] / "migrations"
START = re.compile(r"^create or replace function (?P<name>[a-z_.0-9]+)\(", re.MULTILINE)
GRANTS = """\
-- Nobody but the service role calls our functions; roles are touched only where they exist.
do $$
declare
  ours regprocedure;
  role_name text;
begin
  for ours in
    select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'ratchet' or (n.nspname = 'public' and p.proname like 'ratchet\\_%'
      -- Ours pin their search path to our schema; another function of that name is the owner's.
      and 'search_path=pg_catalog, ratchet, pg_temp' = any (p.proconfig))
  loop
    execute format('revoke all on function %s from public', ours);
    foreach role_name in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = role_name) then
        execute format('revoke all on function %s from %I', ours, role_name);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant execute on function %s to service_role', ours);
    end if;
  end loop;
end $$;
"""


def functions(text: str) -> dict[str, str]:
    """The functions of one SQL file by name, each with the comment above it."""
    starts = [match.start() for match in START.finditer(text)]
    found: dict[str, str] = {}
    for position, start in enumerate(starts):
        end = starts[position + 1] if position + 1 < len(starts) else len(text)
        body = text[start:end]
        body = body[: body.index("$$;") + 3]
        above = text[:start].rstrip("\n").split("\n")
        comment: list[str] = []
        while above and above[-1].startswith("--"):
            comment.insert(0, above.pop())
        match = START.match(body)
        assert match is not None
        found[match["name"]] = "\n".join([*comment, body])
    return found


def changed() -> dict[str, str]:
    """Every function whose source differs from what the migrations last said, in the order of the files."""
    dated: dict[str, str] = {}
    for path in sorted(MIGRATIONS.glob("*.sql")):
        dated.update(functions(path.read_text(encoding="utf-8")))
    sources: dict[str, str] = {}
    for path in sorted((MIGRATIONS / "functions").glob("*.sql")):
        sources.update(functions(path.read_text(encoding="utf-8")))
    # Functions of the schema `ratchet` first: the public ones call them.
    ordered = sorted(sources, key=lambda name: not name.startswith("ratchet."))
    return {name: sources[name] for name in ordered if dated.get(name) != sources[name]}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not re.fullmatch(r"[a-z][a-z0-9_]*", arguments[0]):
        print("usage: scripts/migration NAME (lower case, for example: add_outcomes)", file=sys.stderr)
        return 2
    new = changed()
    if not new:
        print("Nothing changed: every function stands in a migration as it is in migrations/functions.")
        return 0
    version = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    path = MIGRATIONS / f"{version}_{arguments[0]}.sql"
    ledger = (
        f"insert into ratchet.schema_migrations (version, name) values ('{version}', '{arguments[0]}')\n"
        "  on conflict do nothing;\n"
    )
    head = "-- Written by scripts/migration from migrations/functions.\n"
    path.write_text("\n\n".join([head.rstrip(), *new.values(), GRANTS.rstrip(), ledger]), encoding="utf-8")
    print(f"Wrote {path.relative_to(MIGRATIONS.parent)}: {', '.join(new)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
