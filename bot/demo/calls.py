"""The tool calls of the demo's agent about one post: arguments, answers, latencies and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from bot.demo.behaviour import tokens

Arguments = dict[str, str | int]

ERROR_TOKENS = 12

# For each tool: median latency in ms, and median size of its whole result in tokens.
_MEDIANS = {
    "research_topic": (9_000, 330),
    "search_posts": (350, 110),
    "outline_article": (5_200, 170),
    "write_article": (21_000, 260),
    "check_facts": (6_500, 110),
    "edit_article": (8_000, 150),
    "get_draft": (260, 330),
    "inject_links": (1_500, 70),
    "generate_image": (11_000, 45),
    "write_meta": (2_600, 70),
    "check_seo": (900, 100),
    "push_to_ghost": (1_300, 45),
    "schedule_post": (420, 25),
}
_SCENES = ("on a wooden table", "in morning light", "with flour and hands", "on a gas hob", "beside herbs")


@dataclass(frozen=True)
class Call:
    """One tool call and what came of it. `answer` is the excerpt that the trace keeps of the result."""

    name: str
    args: Arguments
    answer: str
    latency_ms: int
    result_tokens: int  # of the whole result, which is what the model reads
    failed: bool = False

    def failing(self, error: str, latency_ms: int | None = None) -> Call:
        """The same call, answered with an error."""
        return Call(self.name, self.args, error, latency_ms or self.latency_ms, ERROR_TOKENS, failed=True)


@dataclass
class Post:
    """The post that a session works on, as far as the calls speak of it."""

    category: str
    title: str
    subject: str
    words: int
    sections: int
    key: str  # what the ids of its notes, outline, draft and post have in common
    started_at: datetime
    notes: str  # the research notes; passed on as text, by their id where this is empty
    researched: bool
    outlined: bool
    instruction: str = ""  # for the next edit_article
    revision: int = 1


def make_call(tool: str, post: Post, random: Random, size: float) -> Call:
    """A call of `tool` that works; `size` scales the result that the model reads."""
    latency_ms, result_tokens = _MEDIANS[tool]
    latency_ms = min(round(latency_ms * random.lognormvariate(0, 0.3)), round(2.5 * latency_ms))
    result_tokens = round(result_tokens * size * random.lognormvariate(0, 0.2))
    if tool == "research_topic" and post.notes:
        result_tokens = tokens(len(post.notes)) + 15
    return Call(tool, _arguments(tool, post, random), _answer(tool, post, random), latency_ms, result_tokens)


def _arguments(tool: str, post: Post, random: Random) -> Arguments:
    draft: Arguments = {"draft_id": f"d-{post.key}"}
    match tool:
        case "research_topic":
            return {"topic": post.title, "depth": random.choice(("standard", "standard", "deep"))}
        case "search_posts":
            return {"query": post.subject}
        case "outline_article":
            return {"topic": post.title, "kind": post.category, **_passed_on(post)}
        case "write_article":
            outline: Arguments = {"outline_id": f"o-{post.key}"} if post.outlined else {}
            return {"topic": post.title, "words": post.words, **outline, **_passed_on(post)}
        case "check_facts" | "write_meta":
            return {**draft, **_passed_on(post)}
        case "edit_article":
            return {**draft, "instruction": post.instruction, **_passed_on(post)}
        case "get_draft":
            return {**draft, "revision": post.revision}
        case "inject_links":
            return {**draft, "max_links": random.randint(2, 4)}
        case "generate_image":
            return {"prompt": f"{post.subject.capitalize()} {random.choice(_SCENES)}", "format": "landscape"}
        case "check_seo":
            return {**draft, "phrase": post.subject}
        case "push_to_ghost":
            return {**draft, "revision": post.revision, "status": "draft", "source": "html"}
        case _:
            publish_on = (post.started_at + timedelta(days=random.randint(1, 4))).date()
            return {
                "post_id": f"p-{post.key}",
                "publish_at": f"{publish_on}T{random.randint(7, 17):02}:30:00Z",
            }


def _passed_on(post: Post) -> Arguments:
    if post.notes:
        return {"research": post.notes}
    return {"research_id": f"r-{post.key}"} if post.researched else {}


def _answer(tool: str, post: Post, random: Random) -> str:
    count, length = random.randint(2, 24), round(post.words * random.uniform(0.92, 1.06))
    match tool:
        case "research_topic":
            return f"r-{post.key}: {count} facts from {post.sections} sources..."
        case "search_posts":
            return f"{count} posts. Best match: Living with {post.subject}..."
        case "outline_article":
            return f"o-{post.key}: {post.sections} sections, {post.words} words planned..."
        case "write_article":
            return f"d-{post.key}: {length} words in {post.sections} sections..."
        case "check_facts":
            return f"{count + 4} claims read, {count // 4} to soften..."
        case "edit_article":
            return f"d-{post.key}: revision {post.revision}, {length} words"
        case "get_draft":
            return f"{post.title}. Revision {post.revision}..."
        case "inject_links":
            return f"{count // 8 + 1} links added"
        case "generate_image":
            return f"img-{post.key}: 1600 x 900"
        case "write_meta":
            return f"Title {38 + count} characters, description {122 + count}"
        case "check_seo":
            return f"Score {70 + count}. Phrase in {post.sections // 2} headings..."
        case "push_to_ghost":
            return f"p-{post.key}: revision {post.revision} saved"
        case _:
            return f"p-{post.key} scheduled"
