"""The tools that the demo's agent declares, as OpenAI-style function specs."""

from __future__ import annotations

import json
from typing import TypedDict


class Parameters(TypedDict):
    type: str
    properties: dict[str, dict[str, object]]
    required: list[str]


class Function(TypedDict):
    name: str
    description: str
    parameters: Parameters


class Tool(TypedDict):
    type: str
    function: Function


def _tool(name: str, description: str, required: dict[str, str], optional: dict[str, str] | None = None) -> Tool:
    """A spec from parameter descriptions; one that starts with `#` is an integer, all others are strings."""
    described = required | (optional or {})
    properties: dict[str, dict[str, object]] = {
        parameter: {
            "type": "integer" if text.startswith("#") else "string",
            "description": text.removeprefix("#"),
        }
        for parameter, text in described.items()
    }
    parameters: Parameters = {"type": "object", "properties": properties, "required": list(required)}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


_DRAFT = {"draft_id": "The draft, as write_article returned it."}
_RESEARCH = {
    "research_id": "The notes, as research_topic returned them.",
    "research": "The text of the notes, for material that has no id.",
}

TOOLS: list[Tool] = [
    _tool(
        "research_topic",
        "Collect facts and sources about a topic. Returns an id and the notes, about 2,000 characters.",
        {"topic": "What the post is about, as a working title."},
        {"depth": "standard or deep; deep takes about twice as long."},
    ),
    _tool(
        "search_posts",
        "Find posts of ours that are published already, best match first.",
        {"query": "A few words, as a reader would search."},
    ),
    _tool(
        "outline_article",
        "Plan the sections of a post. Returns an outline with headings and a word count for each.",
        {"topic": "The working title."},
        {"kind": "howto, listicle, news or opinion.", **_RESEARCH},
    ),
    _tool(
        "write_article",
        "Write the full draft from an outline. Slow: up to a minute for a long post.",
        {"topic": "The working title.", "words": "#Length to aim for."},
        {"outline_id": "The outline, as outline_article returned it.", **_RESEARCH},
    ),
    _tool(
        "check_facts",
        "Compare the claims in a draft with the notes. Returns those that need a source or softer words.",
        _DRAFT,
        _RESEARCH,
    ),
    _tool(
        "edit_article",
        "Apply one instruction to a draft and save it as the next revision.",
        {**_DRAFT, "instruction": "What to change, in one or two sentences."},
        _RESEARCH,
    ),
    _tool(
        "get_draft",
        "Read one revision of a draft.",
        {**_DRAFT, "revision": "#The revision to read."},
    ),
    _tool(
        "inject_links",
        "Add links from a draft to older posts of ours where they help the reader.",
        _DRAFT,
        {"max_links": "#At most this many; three by default."},
    ),
    _tool(
        "generate_image",
        "Make the feature image of a post. Returns an image id and its size.",
        {"prompt": "What the picture shows, in one sentence."},
        {"format": "landscape or square."},
    ),
    _tool(
        "write_meta",
        "Write the search title and the description of a draft.",
        _DRAFT,
        _RESEARCH,
    ),
    _tool(
        "check_seo",
        "Score a draft from 0 to 100 against its search phrase and list what to improve.",
        {**_DRAFT, "phrase": "The search phrase of the post."},
    ),
    _tool(
        "push_to_ghost",
        "Send one revision of a draft to Ghost. Returns the id of the post.",
        {**_DRAFT, "revision": "#The revision to send.", "status": "draft or published."},
        {"source": "The format of the body; Ghost accepts html."},
    ),
    _tool(
        "schedule_post",
        "Set the time at which Ghost publishes a post.",
        {"post_id": "The post, as push_to_ghost returned it.", "publish_at": "RFC 3339, in UTC."},
    ),
]

TOOL_NAMES: tuple[str, ...] = tuple(tool["function"]["name"] for tool in TOOLS)
TOOLS_CHARACTERS = len(json.dumps(TOOLS))
