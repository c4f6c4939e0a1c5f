"""The rules of the test run hold: each is tried on a small run of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.network_guard import is_this_machine

ROOT = Path(__file__).parents[3]


@pytest.fixture
def nested(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CI", raising=False)
    return pytester


def run(pytester: pytest.Pytester, plugin: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", f"tests.plugins.{plugin}", "-p", "no:randomly", "-p", "no:xdist")


@pytest.mark.parametrize("host", [None, "", "localhost", "db.localhost", "127.0.0.1", "127.8.8.8", "::1", b"127.0.0.1"])
def test_loopback_is_this_machine(host: object) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "169.254.169.254", "localhost.example.com", "2001:db8::1"])
def test_everything_else_is_not(host: object) -> None:
    assert not is_this_machine(host)


def test_a_name_of_the_outside_fails_the_test_even_when_the_client_swallows_the_refusal(
    nested: pytest.Pytester,
) -> None:
    nested.makepyfile(
        """
        import contextlib, socket

        def test_swallows():
            with contextlib.suppress(Exception):
                socket.create_connection(("example.invalid", 443), timeout=1)

        def test_connects_by_address():
            socket.socket().connect(("203.0.113.7", 443))
        """
    )
    result = run(nested, "network_guard")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*asked for the host 'example.invalid'*127.0.0.1 instead*"])


def test_a_server_on_this_machine_can_be_reached(nested: pytest.Pytester) -> None:
    nested.makepyfile(
        """
        import socket

        def test_loopback():
            with socket.create_server(("127.0.0.1", 0)) as server:
                with socket.create_connection(("localhost", server.getsockname()[1]), timeout=5):
                    pass
        """
    )
    run(nested, "network_guard").assert_outcomes(passed=1)


SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no browser here")

@pytest.mark.xfail(strict=True)
def test_known():
    assert False
"""


def test_a_skip_stays_a_skip_on_a_laptop(nested: pytest.Pytester) -> None:
    nested.makepyfile(SKIPPING)
    run(nested, "skips_fail_in_ci").assert_outcomes(skipped=1, xfailed=1)


def test_a_skip_fails_the_build(nested: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    nested.makepyfile(SKIPPING)
    result = run(nested, "skips_fail_in_ci")
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*no browser here*", "*a skip counts as a failure*"])


def test_a_module_that_skips_itself_fails_the_build(nested: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    nested.makepyfile("import pytest; pytest.skip('not on this system', allow_module_level=True)")
    result = run(nested, "skips_fail_in_ci")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*not on this system*"])


def test_keys_of_the_developer_do_not_reach_a_test(nested: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLAYER_API_KEY", "pl_live")
    monkeypatch.setenv("DATABASE_URL", "postgresql://production")
    nested.makepyfile(
        """
        import os

        def test_clean():
            assert "PROMPTLAYER_API_KEY" not in os.environ
            assert "DATABASE_URL" not in os.environ
        """
    )
    run(nested, "clean_environment").assert_outcomes(passed=1)


def test_data_that_is_not_there_is_left_out_and_told(nested: pytest.Pytester) -> None:
    nested.makepyfile(
        """
        import pytest

        @pytest.mark.shared_data("no-such-folder")
        def test_on_data():
            assert False

        def test_without():
            pass
        """
    )
    nested.makeini("[pytest]\nmarkers = shared_data(name): data beside the checkout")
    run(nested, "shared_data").assert_outcomes(passed=1, deselected=1)


def test_a_program_that_is_missing_is_a_skip_that_says_how_to_fetch_it(nested: pytest.Pytester) -> None:
    nested.makepyfile(
        """
        from pathlib import Path
        from tests.plugins.real_parts import part

        def test_needs_a_program():
            part("no-such-server", Path("/usr/sbin"))
        """
    )
    result = nested.runpytest_subprocess("-p", "no:randomly", "-p", "no:xdist", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*'no-such-server' is not in /usr/sbin; fetch it with `scripts/setup --all`*"])
