"""What `ratchet doctor` says about the policy of an agent: what is in effect, in one line."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.settings import AgentSettings
from optimizer.settings.policies import PolicySettings, QuietHoursSettings
from optimizer.text.numbers import count


def policy_line(slug: str, agent: AgentSettings) -> str:
    """`policy of blog-writer: 2 approvals; quiet 22:00 to 07:00 Europe/Paris; ...`, and what cannot work in it."""
    needed, there = agent.policy.approvals_min, len(set(agent.approvers))
    short = f" (only {count(there, 'approver')}: nothing can be deployed)" if 0 < there < needed else ""
    return f"policy of {slug}: {count(needed, 'approval')}{short}; {'; '.join(_parts(agent.policy, there))}"


def _parts(policy: PolicySettings, approvers: int) -> Iterator[str]:
    if policy.requester_excluded:
        short = f" (too few are left, of {approvers}, where an approver asked)"
        yield f"not by who asked for the run{short if approvers == policy.approvals_min else ''}"
    if policy.deployments_per_day_max is not None:
        yield f"at most {count(policy.deployments_per_day_max, 'deployment')} in 24 hours"
    if policy.quiet_hours is not None:
        yield f"quiet {_quiet(policy.quiet_hours)}"
    if policy.changed_share_max is not None:
        yield f"a session changes at most {policy.changed_share_max:.0%} of a prompt"
    if policy.protected:
        yield f"{count(len(policy.protected), 'pattern')} of protected text"
    yield f"a second yes passes: {', '.join(policy.confirmable) or 'nothing'}"


def _quiet(quiet: QuietHoursSettings) -> str:
    hours = [] if quiet.start == quiet.end else [f"{quiet.start:%H:%M} to {quiet.end:%H:%M}"]
    return f"{' and '.join([*hours, *([', '.join(quiet.days)] if quiet.days else [])]) or 'never'} {quiet.timezone}"
