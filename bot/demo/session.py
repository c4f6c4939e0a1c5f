"""One simulated session: the agent works through its plan, response by response."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any

from bot.demo import topics
from bot.demo.behaviour import Behaviour
from bot.demo.calls import Post, make_call
from bot.demo.plan import Plan
from bot.demo.transcript import Transcript

# Tools in one group are called side by side, in one response of the model.
_GROUPS = (
    ("research_topic", "search_posts"),
    ("outline_article",),
    ("write_article",),
    ("check_facts",),
    ("edit_article",),
    ("generate_image", "write_meta", "inject_links"),
    ("check_seo",),
)
_HICCUP_SHARE = 0.005  # of the sessions: one tool answers with an error, and is tried again
_HICCUPS = {
    "generate_image": "Error: 503 from the image service, try again",
    "check_seo": "Error: connection reset",
    "push_to_ghost": "Error: 502 from Ghost, try again",
}
_TIME_OUT = "Error: timed out after 60 s"
_REFUSAL = "Error: Ghost refused the post: 'source' must be 'html'"
# Now and then the outline is all that the editor needed.
_SUCCESS_RATE_WITHOUT_DRAFT = 0.12


class Session:
    """One session; `outcome` and `events` are those of its trace line, once it has run."""

    def __init__(self, plan: Plan, behaviour: Behaviour, random: Random, started_at: datetime) -> None:
        self._plan = plan
        self._behaviour = behaviour
        self._random = random
        self._success = plan.luck < behaviour.success_rate
        self._gave_up = self._pushed = False
        self._hiccup = random.choice(list(_HICCUPS)) if random.random() < _HICCUP_SHARE else None
        self._rated = random.random() < 0.35
        self._changes = random.sample(topics.CHANGES, 3)
        self._post = _new_post(plan, random, started_at)
        self._transcript = Transcript(random, behaviour, plan.size)

    def run(self) -> None:
        self._write_post()
        for number in range(1, self._plan.user_messages):
            if not self._gave_up:
                self._change_post(number)

    @property
    def events(self) -> list[dict[str, Any]]:
        return self._transcript.events

    @property
    def outcome(self) -> dict[str, Any]:
        reward = {"reward": 1.0 if self._success else 0.0} if self._rated else {}
        return {"success": self._success, **reward, "end": "agent_stop" if self._gave_up else "user_stop"}

    def _write_post(self) -> None:
        plan, post = self._plan, self._post
        wish = next((tool for tool in ("schedule_post", "push_to_ghost") if tool in plan.tools), "keep_draft")
        self._transcript.user(topics.request(self._random, post.title, post.words, wish))
        for group in _GROUPS:
            if group == ("write_article",) and plan.times_out:
                return self._time_out()
            if tools := [tool for tool in group if tool in plan.tools]:
                self._call(*tools)
        if "push_to_ghost" in plan.tools:
            self._push()
        if "schedule_post" in plan.tools and not self._gave_up:
            self._call("schedule_post")
        if not self._gave_up:
            where = "in Ghost" if self._pushed else "saved as a draft"
            self._transcript.say(f'"{post.title}" is {where}: d-{post.key}, revision {post.revision}.')
        return None

    def _change_post(self, number: int) -> None:
        """The editor comes back with one more change, in the end perhaps unhappy."""
        change = self._changes[number]
        unhappy = not self._success and number == self._plan.user_messages - 1
        complaint = f"{self._random.choice(topics.COMPLAINTS)} " if unhappy else ""
        wait_ms = min(240_000, round(45_000 * self._random.lognormvariate(0, 0.5)))
        self._transcript.user(f"{complaint}Please {change}.", wait_ms)
        if number > 1:
            self._call("get_draft")
        self._post.instruction = change.capitalize()
        self._call("edit_article")
        if self._pushed:
            self._push()
        if not self._gave_up:
            self._transcript.say(f"Done: {change}. d-{self._post.key} is at revision {self._post.revision}.")

    def _time_out(self) -> None:
        """The planted problem: the agent takes the time-out for an answer and stops."""
        call = make_call("write_article", self._post, self._random, self._plan.size)
        self._transcript.call([call.failing(_TIME_OUT, 60_000 + self._random.randrange(20, 90))])
        self._success = self._plan.luck < _SUCCESS_RATE_WITHOUT_DRAFT
        self._give_up(f'write_article did not finish: "{self._post.title}" has no draft yet. Please try later.')

    def _push(self) -> None:
        """Pushes the current revision; an agent that was never told about Ghost gets it wrong at times."""
        refused, mends = self._random.random() < self._behaviour.refused_pushes, self._random.random() < 0.5
        if refused:
            call = make_call("push_to_ghost", self._post, self._random, self._plan.size)
            del call.args["source"]
            self._transcript.call([call.failing(_REFUSAL)])
        if refused and not mends:
            self._success = False
            return self._give_up(f"Ghost refused the post. The draft is safe: d-{self._post.key}.")
        self._call("push_to_ghost")
        self._pushed = True
        return None

    def _call(self, *tools: str) -> None:
        """One response with a call of each tool; a call that hiccups is repeated in the next response."""
        if "edit_article" in tools:
            self._post.revision += 1
        calls = [make_call(tool, self._post, self._random, self._plan.size) for tool in tools]
        if self._hiccup in tools:
            failed = calls[tools.index(self._hiccup)]
            error, self._hiccup = _HICCUPS[self._hiccup], None
            self._transcript.call([call.failing(error) if call is failed else call for call in calls])
            calls = [failed]
        self._transcript.call(calls)

    def _give_up(self, text: str) -> None:
        self._transcript.say(text)
        self._gave_up = True


def _new_post(plan: Plan, random: Random, started_at: datetime) -> Post:
    subject = random.choice(topics.SUBJECTS)
    title = topics.title(random, plan.category, subject)
    return Post(
        category=plan.category,
        title=title,
        subject=subject,
        words=random.randrange(700, 2_000, 50),
        sections=random.randint(4, 8),
        key=f"{random.getrandbits(24):06x}",
        started_at=started_at,
        notes=topics.research_notes(random, title, subject) if plan.wasteful else "",
        researched="research_topic" in plan.tools,
        outlined="outline_article" in plan.tools,
        instruction="Apply the fact check" if "check_facts" in plan.tools else "Tighten the opening",
    )
