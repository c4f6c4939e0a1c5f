"""Slack, outbound: over the vendor's asynchronous client, whose own retries are off."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NoReturn, cast

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.channels.port import Capabilities, Outgoing, Part, SendError
from bot.channels.slack.blocks import CHARACTERS_MAX, parts_of

NAME = "slack"
IDENTITY = "slack:"
ANSWER_SECONDS = 10.0
_EVENT_TYPE = "ratchet_delivery"  # of the metadata that our messages carry
_ALT_MAX = 1_000
_PAGE, _PAGES_MAX = 200, 5  # of messages, for one that a lost answer left unrecorded
_CLOCKS_DIFFER_SECONDS = 60
# What no other try changes, and what the content is at fault for; every other error may pass.
_NEVER = frozenset(
    {
        "account_inactive",
        "channel_not_found",
        "invalid_auth",
        "is_archived",
        "missing_scope",
        "not_authed",
        "not_in_channel",
        "restricted_action",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
        "user_disabled",
        "user_not_found",
    }
)
_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"})
_NOT_THERE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_THREAD_GONE = frozenset({"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"})
# Who may not look, or finds no thread, takes it as not sent: one message too many beats one too few.
_NOT_SHOWN = _THREAD_GONE | {"missing_scope", "message_not_found", "not_in_channel", "no_permission"}


class _ThreadGone(SendError):
    """The thread was deleted or locked."""


class SlackChannel:
    """Implements `Channel` for one workspace. `open_slack` opens and closes it."""

    name = NAME
    capabilities = Capabilities(
        buttons_max=25, updates=True, threads=True, characters_max=CHARACTERS_MAX, pictures=True
    )

    def __init__(self, client: AsyncWebClient, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.client = client
        self._answer_seconds = answer_seconds
        self._direct: dict[str, str] = {}  # identity -> channel: it never changes

    def parts(self, outgoing: Outgoing, *, plain: bool = False) -> tuple[Part, ...]:
        parts = parts_of(outgoing, plain=plain)
        if outgoing.picture is None:
            return parts
        title = outgoing.card.header or "Picture"
        return (*parts, Part(parts[0].text[:_ALT_MAX], {"picture": outgoing.picture, "title": title}))

    async def chat_with(self, identity: str) -> str:
        if identity not in self._direct:
            user = identity.removeprefix(IDENTITY)
            answer = await self._asked(self.client.conversations_open(users=user), f"the chat with {identity!r}")
            self._direct[identity] = answer["channel"]["id"]
        return self._direct[identity]

    async def is_active(self, identity: str) -> bool:
        """Whether the person still has an account here."""
        user = identity.removeprefix(IDENTITY)
        answer = await self._asked(self.client.users_info(user=user), f"who {identity!r} is")
        return not answer["user"].get("deleted", False)

    async def send(self, chat: str, part: Part, *, thread: str | None, token: str) -> str:
        if "picture" in part.payload:
            return await self._send_picture(chat, part, thread, token)
        try:
            return await self._post(chat, part, thread, token)
        except _ThreadGone:
            return await self._post(chat, part, None, token)  # nothing was said yet: it is said in the chat itself

    async def _post(self, chat: str, part: Part, thread: str | None, token: str) -> str:
        answer = await self._asked(
            self.client.chat_postMessage(
                channel=chat.removeprefix(IDENTITY),  # Slack takes a user, too
                text=part.text,
                blocks=part.payload.get("blocks"),
                thread_ts=thread,
                mrkdwn=False,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
                metadata={"event_type": _EVENT_TYPE, "event_payload": {"token": token}},
            ),
            "a message",
            may_be_done=True,
        )
        return str(answer["ts"])

    async def _send_picture(self, chat: str, part: Part, thread: str | None, token: str) -> str:
        """Returns the file's id: Slack does not say which message shows it."""
        answer = await self._asked(
            self.client.files_upload_v2(
                channel=chat,
                content=part.payload["picture"],
                filename=_picture_name(token),
                title=part.payload["title"],
                alt_txt=part.text,
                thread_ts=thread,
            ),
            "a picture",
            may_be_done=True,
        )
        return str(answer["files"][0]["id"])

    async def update(self, chat: str, vendor_id: str, part: Part) -> None:
        """A message that somebody deleted is no loss."""
        if "picture" in part.payload:
            return  # as it was when it was drawn
        await self._asked(
            self.client.chat_update(
                channel=chat,
                ts=vendor_id,
                text=part.text,
                blocks=part.payload.get("blocks", []),
                parse="none",
                link_names=False,
            ),
            "a change of a message",
            passes=_NOT_THERE,
        )

    async def publish_home(self, user: str, view: dict[str, Any]) -> None:
        """What that person sees on the bot's home tab."""
        await self._asked(self.client.views_publish(user_id=user, view=view), "the home tab")

    async def sent(self, chat: str, part: Part, *, thread: str | None, token: str, since: datetime) -> str | None:
        """Looks through what was said there since then, a bounded number of pages."""
        oldest, cursor = f"{since.timestamp() - _CLOCKS_DIFFER_SECONDS:.6f}", None
        for _ in range(_PAGES_MAX):
            answer = await self._page(chat, thread, oldest, cursor)
            for message in cast("list[dict[str, Any]]", answer.get("messages", [])):
                found = _ours(message, token)
                if found is not None:
                    return found
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return None
        return None

    async def _page(self, chat: str, thread: str | None, oldest: str, cursor: str | None) -> dict[str, Any]:
        listed = {"channel": chat, "oldest": oldest, "limit": _PAGE, "cursor": cursor, "include_all_metadata": True}
        if thread is None:
            asked = self.client.conversations_history(**listed)
        else:
            asked = self.client.conversations_replies(ts=thread, **listed)
        return await self._asked(asked, "what was said", passes=_NOT_SHOWN)

    async def _asked(
        self,
        call: Awaitable[AsyncSlackResponse],
        what: str,
        *,
        may_be_done: bool = False,
        passes: frozenset[str] = frozenset(),
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(self._answer_seconds):
                answer = await call
        except SlackApiError as error:
            return _judged(error, what, may_be_done=may_be_done, passes=passes)
        except (aiohttp.ClientConnectorError, ConnectionRefusedError) as error:
            raise SendError(f"Slack cannot be reached for {what}; it is tried again.", "later") from error
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendError(
                f"Slack did not answer {what}; it is looked for, and tried again.",
                "unknown" if may_be_done else "later",
            ) from error
        return cast("dict[str, Any]", answer.data)


def _ours(message: dict[str, Any], token: str) -> str | None:
    """The vendor's id of what `send` returned, where this message carries the token."""
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") == _EVENT_TYPE and metadata.get("event_payload", {}).get("token") == token:
        return str(message["ts"])
    named = (file for file in message.get("files") or () if file.get("name") == _picture_name(token))
    return next((str(file["id"]) for file in named), None)


def _picture_name(token: str) -> str:
    return f"trend-{re.sub('[^0-9a-zA-Z-]', '-', token)}.png"


def _judged(error: SlackApiError, what: str, *, may_be_done: bool, passes: frozenset[str]) -> dict[str, Any]:
    response: Any = error.response
    said = response.get("error") if hasattr(response, "get") else None
    said = str(said or "no reason")
    status = getattr(response, "status_code", 200)
    if said in passes:
        return {}
    if status == 429 or said in ("ratelimited", "rate_limited"):
        wait = str(response.headers.get("Retry-After", ""))
        seconds = float(wait) if wait.isdigit() else None
        raise SendError(f"Slack takes no more just now ({what}); it is tried again.", "later", seconds) from None
    if status >= 500 or said in ("no reason", "internal_error", "fatal_error", "request_timeout"):
        _raise(f"Slack failed at {what} ({status}); it is looked for, and tried again.", may_be_done=may_be_done)
    if said in _THREAD_GONE:
        raise _ThreadGone(f"Slack has no such thread any more for {what} ({said}).", "later") from None
    if said in _REFUSED:
        raise SendError(f"Slack refused the form of {what} ({said}).", "refused") from None
    if said in _NEVER:
        raise SendError(
            f"Slack refused {what} ({said}); check the bot's token, its scopes, and that it is in that channel.",
            "never",
        ) from None
    raise SendError(f"Slack refused {what} ({said}).", "later") from None


def _raise(message: str, *, may_be_done: bool) -> NoReturn:
    raise SendError(message, "unknown" if may_be_done else "later") from None


@asynccontextmanager
async def open_slack(
    token: str, base_url: str | None = None, answer_seconds: float = ANSWER_SECONDS
) -> AsyncGenerator[SlackChannel]:
    """The channel over one connection pool; asks for nothing yet."""
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(
            token=token,
            base_url=base_url or AsyncWebClient.BASE_URL,
            timeout=math.ceil(answer_seconds),
            session=session,
            retry_handlers=[],
        )
        yield SlackChannel(client, answer_seconds)
