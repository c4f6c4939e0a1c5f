create or replace function ratchet.prompt_version_json(p_agent text, p_prompt text, p_version integer) returns jsonb
language sql stable set search_path = pg_catalog, ratchet, pg_temp as $$
  select to_jsonb(held) from ratchet.prompt_versions held
  where agent = p_agent and prompt = p_prompt and version = p_version;
$$;

-- The version that a label points at, with how often the label has moved (label null: the newest version);
-- null when there is none.
create or replace function public.ratchet_prompts_current(p_agent text, p_prompt text, p_label text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select case when p_label is null then
    ratchet.prompt_version_json(p_agent, p_prompt,
      (select max(version) from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt))
  else
    (select ratchet.prompt_version_json(p_agent, p_prompt, version) || jsonb_build_object('label_moves', moves)
     from ratchet.prompt_labels where agent = p_agent and prompt = p_prompt and label = p_label)
  end;
$$;

create or replace function public.ratchet_prompts_read(p_agent text, p_prompt text, p_version integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select ratchet.prompt_version_json(p_agent, p_prompt, p_version);
$$;

-- What became of versions that somebody knows, p_known: [{agent, prompt, label (null: the newest version), version,
-- sha256}] (both null: nothing is known yet). Of each that is another one now its place in the list, from 0, and the
-- version: [{place, held (null: there is none any more)}], p_limit of them at most. What did not change costs an index
-- read, and no text.
create or replace function public.ratchet_prompts_changes(p_known jsonb, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  with known as (
    select place - 1 as place, one ->> 'agent' as agent, one ->> 'prompt' as prompt, one ->> 'label' as label,
      (one ->> 'version')::integer as version, one ->> 'sha256' as sha256
    from jsonb_array_elements(p_known) with ordinality as listed (one, place)
  ),
  standing as (
    select known.*, case when label is null then
        (select max(v.version) from ratchet.prompt_versions v where v.agent = known.agent and v.prompt = known.prompt)
      else
        (select l.version from ratchet.prompt_labels l
         where l.agent = known.agent and l.prompt = known.prompt and l.label = known.label)
      end as stands
    from known
  ),
  changed as (
    select * from standing
    where stands is distinct from version
      or sha256 is distinct from (select v.sha256 from ratchet.prompt_versions v
                                  where v.agent = standing.agent and v.prompt = standing.prompt and v.version = stands)
    order by place limit least(p_limit, 100)
  )
  select coalesce(jsonb_agg(jsonb_build_object('place', place,
                                               'held', ratchet.prompt_version_json(agent, prompt, stands))
                            order by place), '[]'::jsonb)
  from changed;
$$;

-- Publishes a version without a label. The same deployment publishes once: asked again, it gets the same version.
create or replace function public.ratchet_prompts_publish(
  p_agent text, p_prompt text, p_text text, p_sha256 text, p_commit_message text, p_metadata jsonb,
  p_deployment_id uuid, p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  held integer;
begin
  -- One publisher of a prompt at a time: the next number is the newest plus one.
  perform pg_advisory_xact_lock(hashtextextended(p_agent || chr(31) || p_prompt, 0));
  select version into held from ratchet.prompt_versions
  where deployment_id = p_deployment_id and agent = p_agent and prompt = p_prompt;
  if not found then
    select coalesce(max(version), 0) + 1 into held from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt;
    insert into ratchet.prompt_versions (agent, prompt, version, text, sha256, commit_message, metadata, created_at, deployment_id)
    values (p_agent, p_prompt, held, p_text, p_sha256, p_commit_message, p_metadata, p_at, p_deployment_id);
  end if;
  return ratchet.prompt_version_json(p_agent, p_prompt, held);
end $$;

-- Moves a label if it stands where the caller thinks (p_expected null: if it does not exist yet), and writes the move
-- down. Answers {ok: true}, {ok: false, version: where it stands} or {ok: false, missing: true} for an unknown version.
create or replace function public.ratchet_prompts_move_label(
  p_agent text, p_prompt text, p_label text, p_version integer, p_expected integer, p_after_moves bigint,
  p_at timestamptz) returns jsonb
language plpgsql security definer set search_path = pg_catalog, ratchet, pg_temp as $$
declare
  stands integer;
  made bigint;
begin
  if not exists (select from ratchet.prompt_versions where agent = p_agent and prompt = p_prompt and version = p_version) then
    return jsonb_build_object('ok', false, 'missing', true);
  end if;
  if p_expected is null then
    insert into ratchet.prompt_labels (agent, prompt, label, version, moved_at)
    values (p_agent, p_prompt, p_label, p_version, p_at) on conflict do nothing returning moves into made;
  else
    update ratchet.prompt_labels set version = p_version, moves = moves + 1, moved_at = p_at
    where agent = p_agent and prompt = p_prompt and label = p_label and version = p_expected
      and (p_after_moves is null or moves = p_after_moves)
    returning moves into made;
  end if;
  if made is not null then
    insert into ratchet.label_moves (agent, prompt, label, move, version, moved_at)
    values (p_agent, p_prompt, p_label, made, p_version, p_at);
    return jsonb_build_object('ok', true);
  end if;
  select version into stands from ratchet.prompt_labels where agent = p_agent and prompt = p_prompt and label = p_label;
  return jsonb_build_object('ok', false, 'version', stands);
end $$;

-- Where the labels of an agent's prompts were put, newest first: [{prompt, label, version, moved_at}].
create or replace function public.ratchet_prompts_moves(p_agent text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('prompt', prompt, 'label', label, 'version', version, 'moved_at', moved_at)
                            order by moved_at desc, move desc), '[]'::jsonb)
  from (select * from ratchet.label_moves where agent = p_agent
        order by moved_at desc, move desc limit least(p_limit, 1000)) moved;
$$;

-- How many agent sessions began between neighbouring cuts (ascending times), by the prompt version that they name, as
-- `prompt@reference`: [{segment (from 0), reference (null: all sessions), n, first, last}]. By whole folded hours: one
-- that holds a cut counts where it begins. Of a segment the p_limit most frequent references.
create or replace function public.ratchet_prompts_references(p_agent text, p_cuts jsonb, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp set jit = off as $$
  with segment as (
    select ordinality - 1 as segment, at as since, lead(at) over (order by ordinality) as until
    from rows from (jsonb_array_elements_text(p_cuts)) with ordinality as cut (said, ordinality)
    cross join lateral (select cut.said::timestamptz as at) as read
  ),
  counted as (
    select s.segment, r.labels ->> 'prompt_version' as reference, sum(r.n) as n, min(r.hour) as first, max(r.hour) as last
    from segment s
    -- Hour by hour (offset 0 keeps it so): the index is entered at the rows of this one name, however long history is.
    cross join lateral generate_series(
      date_trunc('hour', s.since + interval '1 hour' - interval '1 microsecond', 'UTC'),
      s.until - interval '1 microsecond', interval '1 hour') as h (hour)
    cross join lateral (
      select labels, n, hour from ratchet.rollups
      where agent = p_agent and rollups.hour = h.hour and name = 'sessions' and (labels = '{}' or labels ? 'prompt_version')
      offset 0
    ) as r
    where s.until is not null
    group by s.segment, r.labels ->> 'prompt_version'
  ),
  ranked as (
    select *, row_number() over (partition by segment, reference is null order by n desc, reference) as place from counted
  )
  select coalesce(jsonb_agg(jsonb_build_object('segment', segment, 'reference', reference, 'n', n,
                                               'first', first, 'last', last) order by segment, n desc, reference), '[]'::jsonb)
  from ranked where place <= least(p_limit, 1000);
$$;

-- Every version of every prompt of the agent, newest first, without the texts; p_prompt null: all prompts.
create or replace function public.ratchet_prompts_history(p_agent text, p_prompt text, p_limit integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(held) - 'text' order by created_at desc, version desc, prompt), '[]'::jsonb)
  from (select * from ratchet.prompt_versions where agent = p_agent and (p_prompt is null or prompt = p_prompt)
        order by created_at desc, version desc limit least(p_limit, 1000)) held;
$$;

-- Labels of a prompt: {label: version}.
create or replace function public.ratchet_prompts_labels(p_agent text, p_prompt text) returns jsonb
language sql stable security definer set search_path = pg_catalog, ratchet, pg_temp as $$
  select coalesce(jsonb_object_agg(label, version), '{}'::jsonb) from ratchet.prompt_labels
  where agent = p_agent and prompt = p_prompt;
$$;
