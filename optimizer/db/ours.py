"""What in a database is ours, by the names that migrations create; and what of the owner's stands in the way."""

from __future__ import annotations

import re
from collections.abc import Iterable

import psycopg

from optimizer.errors import DatabaseError

VIEW = "optimization_sessions"  # in the schema public
_TABLE = re.compile(r"^create table (?:if not exists )?ratchet\.(\w+)", re.MULTILINE)

_IN_THE_WAY = f"""
select 'the relation or type public.' || typname as what from pg_type
where typnamespace = 'public'::regnamespace and typname = '{VIEW}'
union all
select 'the schema ratchet, which holds ' || relname from pg_class where relnamespace = to_regnamespace('ratchet')
union all
select 'the function public.' || proname from pg_proc
where pronamespace = 'public'::regnamespace and starts_with(proname, 'ratchet_')
order by what limit 1
"""
_REFUSAL = (
    "This database has something of yours under a name that Ratchet needs ({}); rename it, or give Ratchet a database "
    "of its own: nothing was changed."
)
# The same for who pastes the migrations.
REFUSE_STRANGERS = f"""\
do $strangers$
declare
  found text;
begin
  select what into found from ({_IN_THE_WAY}) as named;
  if found is not null then
    raise exception using message = replace('{_REFUSAL}', '{{}}', found);
  end if;
end $strangers$;
"""


def tables_of(scripts: Iterable[str]) -> tuple[str, ...]:
    """The tables of the schema `ratchet` that these migrations create, sorted."""
    return tuple(sorted({name for script in scripts for name in _TABLE.findall(script)}))


def refuse_strangers(connection: psycopg.Connection) -> None:
    """Before the first migration: raises `DatabaseError` where something of the owner's has a name of ours."""
    found = connection.execute(_IN_THE_WAY.encode()).fetchone()
    if found is not None:
        raise DatabaseError(_REFUSAL.format(found[0]))
