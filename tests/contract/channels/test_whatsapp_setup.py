"""`ratchet whatsapp setup`: templates made once, approval asked for once, and the lines that `.env` needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.channels.twilio.templates import TEMPLATES
from bot.cli import main
from tests.simulators.twilio import ACCOUNT_SID, AUTH_TOKEN, Twilio, twilio


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Twilio]:
    monkeypatch.chdir(tmp_path)
    with twilio() as space:
        monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT_SID)
        monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        monkeypatch.setenv("TWILIO_BASE_URL", space.url)
        yield space


def _lines_for_env(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("TWILIO_")]


def test_templates_are_made_once(account: Twilio, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatsapp", "setup"]) == 0
    first = capsys.readouterr().out
    assert first.count("pending") == sum(one.approved for one in TEMPLATES)
    changed = len(account.changed())
    assert main(["whatsapp", "setup"]) == 0
    assert capsys.readouterr().out == first
    assert len(account.changed()) == changed == 5
    assert sorted(one["friendly_name"] for one in account.account.contents.values()) == sorted(
        one.name for one in TEMPLATES
    )


def test_its_lines_are_what_the_settings_read(
    account: Twilio, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["whatsapp", "setup"]) == 0
    lines = _lines_for_env(capsys.readouterr().out)
    assert len(lines) == len(TEMPLATES)
    (tmp_path / ".env").write_text("\n".join(lines))
    account.account.approve()
    assert main(["whatsapp", "setup"]) == 0
    said = capsys.readouterr().out
    assert not _lines_for_env(said)
    assert said.count("approved") == 2
    assert ".env names them already." in said


def test_a_refused_template_is_told(account: Twilio, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatsapp", "setup"]) == 0
    next(iter(account.account.approvals.values())).update(status="rejected", rejection_reason="too pushy")
    assert main(["whatsapp", "setup"]) == 1
    assert "WhatsApp says rejected: too pushy" in capsys.readouterr().err


def test_contents_of_others_are_left_alone(account: Twilio) -> None:
    for n in range(130):
        account.account.create_content(
            {
                "friendly_name": f"other_{n}",
                "types": {"twilio/quick-reply": {"body": "b", "actions": [{"title": "t", "id": "i"}]}},
            }
        )
    assert main(["whatsapp", "setup"]) == 0
    assert main(["whatsapp", "setup"]) == 0
    assert len(account.account.contents) == 130 + len(TEMPLATES)


def test_it_goes_on_where_it_stopped(account: Twilio) -> None:
    assert main(["whatsapp", "setup"]) == 0
    account.account.approvals.clear()
    account.account.contents.popitem()
    assert main(["whatsapp", "setup"]) == 0
    assert len(account.account.contents) == len(TEMPLATES)
    assert len(account.account.approvals) == 2


def test_wrong_keys_are_one_sentence(
    account: Twilio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
    assert main(["whatsapp", "setup"]) == 1
    said = capsys.readouterr().err
    assert "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN" in said
    assert "wrong" not in said
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    assert main(["whatsapp", "setup"]) == 2
    assert "TWILIO_AUTH_TOKEN is not set" in capsys.readouterr().err
