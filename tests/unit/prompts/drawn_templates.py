"""Templates as PromptLayer may hold them, drawn at random."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from optimizer.prompts.variables import variables_of

TOOL = {"type": "function", "function": {"name": "book", "parameters": {"type": "object", "properties": {}}}}
IMAGE = {"type": "image_url", "image_url": {"url": "{photo}"}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "s"}

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            "\n",
            "@@@rules@@@ and {name}\r\n",
            "{{ name }} {% if x %}y{% endif %}",
            "=== message 1 (system), block 1 ===",
            "a\n=== block 1 ===\nb",
            "==== message 2 (user), block 1 ====\n",
        ]
    ),
)
text_blocks = st.builds(lambda text: {"type": "text", "text": text}, texts)
other_blocks = st.sampled_from([IMAGE, THINKING, {"type": "text", "text": None}, "loose"])
contents = st.one_of(st.none(), st.lists(st.one_of(text_blocks, text_blocks, other_blocks), max_size=4))
formats = st.sampled_from(["f-string", "jinja2"])
variables = st.lists(st.sampled_from(["name", "x", "photo", "rules_of_the_snippet"]), unique=True)
messages = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "user", "assistant", "tool", "placeholder", "developer", "Odd Role"]),
        "content": contents,
        "template_format": formats,
        "input_variables": variables,
    },
    optional={"name": st.none(), "tool_calls": st.just([{"id": "c1"}])},
)
chats = st.fixed_dictionaries(
    {"type": st.just("chat"), "messages": st.lists(messages, max_size=4), "input_variables": variables},
    optional={
        "tools": st.sampled_from([None, [TOOL]]),
        "functions": st.just([{"name": "f"}]),
        "tool_choice": st.just("auto"),
        "response_format": st.just({"type": "json_object"}),
    },
)
completions = st.fixed_dictionaries(
    {"type": st.just("completion"), "content": contents, "template_format": formats, "input_variables": variables}
)
templates = st.one_of(chats, completions).map(copy.deepcopy)


def chat(*texts: str, template_format: str = "f-string", **more: Any) -> dict[str, Any]:
    """One message for each text: the system's first, then the user's."""
    return {
        "type": "chat",
        "messages": [
            {
                "role": "system" if number == 0 else "user",
                "content": [{"type": "text", "text": text}],
                "input_variables": list(variables_of(text, template_format)),
                "template_format": template_format,
            }
            for number, text in enumerate(texts)
        ],
        "input_variables": list(dict.fromkeys(name for text in texts for name in variables_of(text, template_format))),
        **more,
    }


def editable(template: dict[str, Any]) -> list[dict[str, Any]]:
    holders = [*([template] if "content" in template else []), *template.get("messages", [])]
    return [
        block
        for holder in holders
        if holder.get("role") != "placeholder"
        for block in holder["content"] or []
        if isinstance(block, dict) and block.get("type") == "text" and block["text"] is not None
    ]


conversations = st.lists(texts.filter(bool), min_size=2, max_size=4).map(lambda drawn: chat(*drawn))
