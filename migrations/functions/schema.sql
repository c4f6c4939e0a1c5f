-- What the ledger holds: versions, oldest first.
create or replace function public.ratchet_schema_versions() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(version order by version), '[]'::jsonb) from ratchet.schema_migrations;
$$;

-- The one table of transitions: [{record, from, to}].
create or replace function public.ratchet_schema_transitions() returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select jsonb_agg(jsonb_build_object('record', record, 'from', from_state, 'to', to_state)
                   order by record, from_state, to_state)
  from ratchet.transitions;
$$;
