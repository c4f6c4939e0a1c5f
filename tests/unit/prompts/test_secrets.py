"""False keys of many vendors, made at random: each is seen, and nothing of an ordinary prompt is."""

from __future__ import annotations

import base64
import hashlib
import string
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo import prompts as demo
from optimizer.prompts.checks import check_prompt
from optimizer.prompts.secrets import new_secrets, secrets

MIXED, LOWER, UPPER, HEX = (
    string.ascii_letters + string.digits,
    string.ascii_lowercase + string.digits,
    string.ascii_uppercase + string.digits,
    "0123456789abcdef",
)
# What stands before the random part, its letters, how many of them, and what stands behind.
VENDORS = {
    "airtable's neighbour: a key without a vendor": ("", MIXED, 40, ""),
    "anthropic": ("sk-ant-api03-", MIXED, 90, "AA"),
    "aws": ("AKIA", UPPER, 16, ""),
    "aws, for a while": ("ASIA", UPPER, 16, ""),
    "aws, the secret": ('aws_secret_key="', MIXED, 40, '"'),
    "azure": ("AccountKey=", MIXED, 86, "=="),
    "databricks": ("dapi", HEX, 32, ""),
    "digitalocean": ("dop_v1_", HEX, 64, ""),
    "discord": ("M", MIXED, 23, ".Gx1yz2.abcdefghijklmnopqrstuvwx123"),
    "doppler": ("dp.pt.", MIXED, 43, ""),
    "github": ("ghp_", MIXED, 36, ""),
    "github, fine-grained": ("github_pat_", MIXED, 60, ""),
    "gitlab": ("glpat-", MIXED, 20, ""),
    "google": ("AIza", MIXED, 35, ""),
    "grafana": ("glsa_", MIXED, 32, "_0a1b2c3d"),
    "groq": ("gsk_", MIXED, 52, ""),
    "hugging face": ("hf_", MIXED, 34, ""),
    "langsmith": ("lsv2_pt_", HEX, 32, "_0a1b2c3d4e"),
    "linear": ("lin_api_", MIXED, 40, ""),
    "mailchimp": ("", LOWER, 32, "-us12"),
    "mailgun": ("key-", HEX, 32, ""),
    "new relic": ("NRAK-", UPPER, 27, ""),
    "notion": ("ntn_", MIXED, 46, ""),
    "npm": ("npm_", MIXED, 36, ""),
    "openai": ("sk-proj-", MIXED, 40, "T3BlbkFJ0a1b2c3d4e5f6g7h8i9j"),
    "openrouter": ("sk-or-v1-", HEX, 64, ""),
    "perplexity": ("pplx-", MIXED, 48, ""),
    "promptlayer": ("pl_", HEX, 32, ""),
    "pypi": ("pypi-AgEIcHlwaS5vcmc", MIXED, 80, ""),
    "replicate": ("r8_", MIXED, 37, ""),
    "sendgrid": ("SG.", MIXED, 22, "." + "a1B" * 14 + "c"),
    "shopify": ("shpat_", HEX, 32, ""),
    "slack": ("xoxb-123456789012-123456789012-", MIXED, 24, ""),
    "slack, of an app": ("xapp-1-A0B1C2D3E4F-123456789012-", HEX, 64, ""),
    "slack, a hook": ("https://hooks.slack.com/services/T0A1B2C3D/B0A1B2C3D/", MIXED, 24, ""),
    "square": ("sq0csp-", MIXED, 43, ""),
    "stripe": ("sk_live_", MIXED, 24, ""),
    "stripe, to try": ("sk_test_", MIXED, 24, ""),
    "stripe, a hook": ("whsec_", MIXED, 32, ""),
    "supabase": ("sbp_", HEX, 40, ""),
    "telegram": ("1234567890:", MIXED, 35, ""),
    "twilio": ("SK", HEX, 32, ""),
    "vault": ("hvs.", MIXED, 90, ""),
    "a password": ("password=", MIXED, 10, ""),
    "a password in JSON": ('{"password": "a1', MIXED, 10, '"}'),
    "a password in an address": ("postgresql://bob:", MIXED, 12, "@db.internal/x"),
    "a password without a user": ("redis://:", MIXED, 12, "@cache/0"),
    "a header": ("Authorization: Bearer 1a", MIXED, 20, ""),
    "a key by its name": ("x-api-key: 1a", MIXED, 30, ""),
    "a client's secret": ("client_secret: 1a", MIXED, 20, ""),
}
# Too few of both cases, or too few groups of digits, and it would look like a name.
SEED = 4


def false_key(name: str) -> tuple[str, str]:
    """The text, and the part of it that nobody may print."""
    before, letters, length, behind = VENDORS[name]
    random = Random(f"{SEED}{name}")
    part = "".join(random.choice(letters) for _ in range(length))
    return f"{before}{part}{behind}", part


@pytest.mark.parametrize("name", VENDORS)
def test_a_false_key_of_each_vendor_is_seen_and_never_shown(name: str) -> None:
    text, part = false_key(name)
    base = "You are the front desk of a hotel, and you answer in two sentences.\n" * 6
    found = [one for one in check_prompt(base, f"{base}Use {text} when you call.\n") if one.code == "secret"]
    assert found, name
    assert not any(part[:8] in one.sentence for one in found)


@pytest.mark.parametrize("header", ["RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"])
def test_a_private_key_is_seen_by_its_first_line(header: str) -> None:
    assert secrets(f"-----BEGIN {header}-----")


@pytest.mark.parametrize(
    "text",
    [
        hashlib.sha256(b"a").hexdigest(),
        f'The commit `{hashlib.sha1(b"a").hexdigest()}` and the version "{hashlib.sha256(b"b").hexdigest()}".',
        "The session 7f3a9c1e-1111-4222-8333-9f1e2d3c4b5a and the order #W5918442.",
        '{"user_id": "mia_li_3668", "payment_id": "credit_card_1955700", "password": "string"}',
        "Ask for the password: never repeat it. The token budget is 4096 (max_tokens=4096).",
        "Take `password={password}` and `api_key: <yours>` as they are, postgres://{user}:{password}@host/db too.",
        "Call update_reservation_flights_v2 with getUserReservationDetailsById, TheQuickBrownFoxJumpsOverTheLazyDog.",
        "APARTMENTBUILDING ACCOUNTABILITY and the gate AP12 of flight HAT156 at 2024-05-17T23:12:06Z.",
        "Read docs/reference/V2/Section3/Part4/index.html before.",
        base64.b64encode(b"a").decode(),
    ],
)
def test_what_prompts_are_full_of_is_no_secret(text: str) -> None:
    assert secrets(text) == frozenset()


def test_the_demos_prompts_hold_no_secret() -> None:
    texts = [value for value in vars(demo).values() if isinstance(value, str) and len(value) > 200]
    assert texts
    assert [secrets(text) for text in texts] == [frozenset()] * len(texts)


def test_a_secret_that_the_base_has_may_stay_and_move_and_another_may_not_come() -> None:
    mine, other = false_key("stripe")[0], false_key("github")[0]
    base = f"Pay with {mine} always.\nBe kind."
    assert new_secrets(base, f"Be kind.\nNow pay with {mine}.") == frozenset()
    assert all(one.value in other for one in new_secrets(base, f"{base}\nAnd use {other}."))
    assert other in {one.value for one in new_secrets(base, f"{base}\nAnd use {other}.")}


def test_a_key_that_is_hidden_behind_unseen_characters_is_seen() -> None:
    text, _ = false_key("aws")
    assert secrets("\u200b".join(text))


@given(st.text("aAbB1290+/=_- \n:'\"{}$", max_size=400))
def test_the_base_itself_is_never_at_fault(text: str) -> None:
    assert new_secrets(text, text) == frozenset()


def test_texts_made_to_be_slow_come_to_an_end() -> None:
    for piece in ("://", "password", "password: ", "aws key ", "A1b", "eyJ", "ibm_api_key = ", "a:", "sk-"):
        secrets(piece * (60_000 // len(piece)))
