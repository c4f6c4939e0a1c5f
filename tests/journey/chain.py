"""What the audit chain and the registry say of a busy day, read by code of its own: plain SQL, no store of ours."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from optimizer.prompts.edits import compose
from optimizer.records.base import sha256_of
from optimizer.records.edits import Edit
from tests.journey.world import AGENT

# Who moved a label from where to where, in their order: the registry itself keeps only where a label stands.
RECORD_LABELS = """
create table public.label_moves (id bigint generated always as identity, prompt text, old integer, new integer);
create function public.record_label() returns trigger language plpgsql as $$
begin
  insert into public.label_moves (prompt, old, new)
  values (new.prompt, case when tg_op = 'UPDATE' then old.version end, new.version);
  return new;
end $$;
create trigger record_label after insert or update on ratchet.prompt_labels
for each row execute function public.record_label();
"""

_WENT_LIVE = ("live", "seen", "rolled_back")


class BusyDay:
    """The tables after the day."""

    def __init__(self, dsn: str) -> None:
        with psycopg.Connection[dict[str, Any]].connect(dsn, row_factory=dict_row) as connection:

            def rows(query: str) -> list[dict[str, Any]]:
                return list(connection.execute(query.encode()))

            self.runs = rows("select * from ratchet.runs")
            self.sessions = rows("select * from ratchet.sessions")
            self.items = {str(row["id"]): row for row in rows("select * from ratchet.items")}
            self.deployments = {str(row["id"]): row for row in rows("select * from ratchet.deployments")}
            self.versions = {
                (row["prompt"], row["version"]): row for row in rows("select * from ratchet.prompt_versions")
            }
            self.moves = rows("select * from public.label_moves order by id")
            self.labels = {row["prompt"]: row["version"] for row in rows("select * from ratchet.prompt_labels")}
            self.steps = rows("select * from ratchet.deployment_steps order by deployment_id, seq")
            audit = rows(f"select body from ratchet.decisions where agent = '{AGENT}' order by seq")
        self.audit = [json.loads(row["body"]) for row in audit]

    @property
    def told(self) -> str:
        kinds = Counter(body["kind"] for body in self.audit)
        states = Counter(row["state"] for row in self.deployments.values())
        runs = sum(run["slot"] is not None for run in self.runs if run["state"] == "done")
        return (
            f"{runs} runs of a slot, {len(self.sessions)} sessions, {kinds['decision']} decisions, "
            f"{kinds['refused']} refused, {kinds['expired']} expired, {kinds['rebased']} shown again, "
            f"{kinds['rollback']} rollbacks, {kinds['halt']} halts, {kinds['prompt_imported']} imports past Ratchet, "
            f"deployments: {dict(sorted(states.items()))}"
        )

    def check(self) -> None:
        self._one_run_for_each_slot()
        self._one_session_waits()
        self._nothing_is_left_under_way()
        self._each_deployment_is_one_version_and_one_move()
        self._each_text_is_its_base_with_the_approved_edits()
        self._each_label_stood_on_what_was_approved_or_imported()
        self._only_what_was_open_was_approved()
        self._items_of_two_prompts_are_live_in_both_or_neither()

    def _one_run_for_each_slot(self) -> None:
        slots = Counter(datetime.fromisoformat(run["slot"]) for run in self.runs if run["slot"] is not None)
        assert all(count == 1 for count in slots.values()), slots
        audited = Counter(body["run_id"] for body in self.audit if body["kind"] == "run")
        assert all(count == 1 for count in audited.values())
        assert audited.keys() == {str(run["id"]) for run in self.runs if run["state"] == "done"}

    def _one_session_waits(self) -> None:
        assert sum(session["state"] == "pending" for session in self.sessions) <= 1

    def _nothing_is_left_under_way(self) -> None:
        ended = {*_WENT_LIVE, "failed", "halted"}
        assert {row["state"] for row in self.deployments.values()} <= ended
        assert not [item for item in self.items.values() if item["state"] == "approved"]

    def _each_deployment_is_one_version_and_one_move(self) -> None:
        published = Counter(str(row["deployment_id"]) for row in self.versions.values() if row["deployment_id"])
        moved = Counter((move["prompt"], move["new"]) for move in self.moves)
        for id_, row in self.deployments.items():
            assert published[id_] <= 1, row
            if row["state"] not in _WENT_LIVE:
                continue
            assert published[id_] == 1, row
            version = self.versions[row["prompt"], row["new_version"]]
            assert str(version["deployment_id"]) == id_
            assert version["sha256"] == row["sha256"] == sha256_of(version["text"])
            back = sum(
                move["prompt"] == row["prompt"] and move["new"] == row["new_version"] for move in self._returns()
            )
            assert moved[row["prompt"], row["new_version"]] - back == 1 + self._forward_again()[id_], row
        never = {(row["prompt"], row["new_version"]) for row in self.deployments.values() if row["state"] == "halted"}
        assert not [move for move in self.moves if (move["prompt"], move["new"]) in never]

    def _forward_again(self) -> Counter[str]:
        """How often each deployment went back and forward again, because another of its decision could not go back."""
        steps = (step for step in self.steps if (step["step"], step["phase"]) == ("forward_again", "after"))
        return Counter(str(step["deployment_id"]) for step in steps)

    def _returns(self) -> list[dict[str, Any]]:
        """Moves of a label back to the version before: one for each deployment that was taken back."""
        bases = {(row["prompt"], row["new_version"]): row["base_version"] for row in self.deployments.values()}
        return [move for move in self.moves if move["old"] and bases.get((move["prompt"], move["old"])) == move["new"]]

    def _each_text_is_its_base_with_the_approved_edits(self) -> None:
        for row in self.deployments.values():
            base = self.versions[row["prompt"], row["base_version"]]
            edits = [
                Edit.model_validate(edit)
                for item in row["items"]
                for edit in self.items[item]["edits"]
                if edit["prompt"] == row["prompt"]
            ]
            assert sha256_of(base["text"]) == row["base_sha256"]
            assert compose(base["text"], edits) == row["text"], row

    def _each_label_stood_on_what_was_approved_or_imported(self) -> None:
        stands: dict[str, int | None] = defaultdict(lambda: None)
        returns = Counter((move["prompt"], move["old"]) for move in self._returns())
        for move in self.moves:
            prompt = move["prompt"]
            assert move["old"] == stands[prompt]
            stands[prompt] = move["new"]
            version = self.versions[prompt, move["new"]]
            deployment = self.deployments.get(str(version["metadata"].get("deployment_id")))
            if deployment is None:
                assert version["commit_message"] == "Imported"
                continue
            assert deployment["state"] in (*_WENT_LIVE, "failed")
            if move not in self._returns():
                assert self.versions[prompt, move["old"]]["sha256"] == deployment["base_sha256"]
        assert stands == self.labels
        again = self._forward_again()
        for id_, row in self.deployments.items():
            assert returns[row["prompt"], row["new_version"]] <= 1 + again[id_], row

    def _only_what_was_open_was_approved(self) -> None:
        """Plays the chain again: what waited at each moment, and whether every approval was of that."""
        waiting: set[str] = set()
        session = ""
        approved: set[str] = set()
        saved = {str(row["run_id"]): str(row["id"]) for row in self.sessions}
        for body in self.audit:
            match body["kind"]:
                case "run" if body.get("status") == "pending":
                    waiting = {item["id"] for item in body["items"]}
                    session = saved[body["run_id"]]
                case "expired" if body["session_id"] == session:
                    assert body["at"] >= body["expires_at"]
                    waiting = set()
                case "rebased" if body["session_id"] == session:
                    waiting -= {item["id"] for item in body["items"] if item["base_sha256"] is None}
                case "decision" if body["session_id"] == session:
                    waiting, approved = self._decided(body, waiting, approved)
                case "decision":  # about a list that was answered: what a person did, or wants to hear no more
                    assert {item["to"] for item in body["items"]} <= {"done", "muted"}, body
                case "deployment" if body["to"] == "live":
                    assert set(self.deployments[body["deployment_id"]]["items"]) <= approved
                case _:
                    pass
        for row in self.deployments.values():
            assert set(row["items"]) <= approved

    def _decided(self, body: dict[str, Any], waiting: set[str], approved: set[str]) -> tuple[set[str], set[str]]:
        left_out = {item["id"] for item in body["items"] if item["to"] == "failed"}
        for item in body["items"]:
            if item["to"] == "approved":
                assert item["id"] in waiting, body
                assert item["content_sha256"] == self.items[item["id"]]["content_sha256"]
            waiting = waiting | {item["id"]} if item["to"] == "open" else waiting - {item["id"]}
        now = {item["id"] for item in body["items"] if item["to"] == "approved"} - left_out
        closed = body["session_state"] in ("decided", "skipped")
        return (set() if closed else waiting), approved | now

    def _items_of_two_prompts_are_live_in_both_or_neither(self) -> None:
        """But for what Ratchet could not take back by itself, because someone moved its label on after its half of an
        item went live: that is told, and kept. What people take back goes back in both, or in neither."""
        by_item: dict[str, set[bool]] = defaultdict(set)
        for row in self.deployments.values():
            rollback = row["rollback"] or {}
            if "failed" in rollback and rollback["actor"] == "ratchet":
                continue
            for item in row["items"]:
                by_item[item].add(row["state"] in ("live", "seen"))
        halves = {item for item, live in by_item.items() if len(live) > 1}
        assert not halves, [row for row in self.deployments.values() if halves & set(row["items"])]
