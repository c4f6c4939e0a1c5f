"""Settings as a team writes them: what is misspelt is named with its neighbour, and no secret is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.commands.doctor import describe
from optimizer.errors import SettingsError
from optimizer.settings import Environment, Settings, load_settings, parse_values

SAMPLE = """
[agents.blog-writer]
environment = "prod"
registry = "local"
prompts.master_system_core = { label = "prod", follow = "label", includes = { PLAYBOOKS = "playbooks" } }
prompts.playbooks = { label = "prod", follow = "label", required = ["{{TONE}}"] }
escalation_tools = ["transfer_to_human*"]
approvers = ["dana"]
schedule = { cron = "0 6 * * *", timezone = "UTC" }
budget = { run_usd = 1.0, month_usd = 20.0 }
expires_hours = 48

[people.dana]
slack = "U012AB3CD"
whatsapp = "whatsapp:+33600000001"
console = "dana"
timezone = "Europe/Paris"
language = "fr"

[traces]
table = "public.observability_traces"
columns = { id = "id", session_id = "session_id", created_at = "created_at", payload = "payload" }
"""
SECRETS = [name for name, field in Environment.model_fields.items() if "SecretStr" in str(field.annotation)]


def refusal(folder: Path, text: str | bytes) -> str:
    """The sentence with which this ratchet.toml is refused."""
    (folder / "ratchet.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load_settings(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_the_sample_is_read(tmp_path: Path) -> None:
    (tmp_path / "ratchet.toml").write_text(SAMPLE)
    settings = load_settings(tmp_path)
    agent = settings.agent("blog-writer")
    assert agent.prompts["master_system_core"].includes == {"PLAYBOOKS": "playbooks"}
    assert agent.prompts["playbooks"].required == ("{{TONE}}",)
    assert (agent.schedule.cron, agent.budget.month_usd, agent.expires_hours) == ("0 6 * * *", 20.0, 48)
    assert settings.identities("dana") == {"slack:U012AB3CD", "whatsapp:+33600000001", "console:dana"}


def test_nothing_is_needed(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.path is None
    assert settings.agent("anyone").approvers == ()
    assert settings.identities("anyone") == frozenset()


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("[agent.x]", "agent", "agents"),
        ("[agents.x]\nenviroment = 'prod'", "agents.x.enviroment", "environment"),
        ("[agents.x]\nprompt.y = {}", "agents.x.prompt", "prompts"),
        ("[agents.x]\nprompts.y = { lable = 'prod' }", "agents.x.prompts.y.lable", "label"),
        ("[agents.x]\nschedule = { crom = '' }", "agents.x.schedule.crom", "cron"),
        ("[agents.x]\nbudget = { run_usa = 1 }", "agents.x.budget.run_usa", "run_usd"),
        ("[people.dana]\nslak = 'U1'", "people.dana.slak", "slack"),
        ("[traces]\ntabel = 'x'", "traces.tabel", "table"),
        ("[traces]\ntable = 'x'\ncolumns = { sesion_id = 'x' }", "traces.columns.sesion_id", "session_id"),
        ("[messages]\ntable = 'x'\ncolumns = { rol = 'x' }", "messages.columns.rol", "role"),
        ("[agent_config]\ntable = 'x'\ncolumns = { tool = 'x' }", "agent_config.columns.tool", "tools"),
    ],
)
def test_a_misspelt_key_is_named_with_its_neighbour(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    assert f"the key {key!r} is not known (did you mean {nearest!r}?)" in refusal(tmp_path, text)


def test_a_key_like_no_other_gets_no_neighbour(tmp_path: Path) -> None:
    assert "the key 'agents.x.qqqq' is not known; correct or remove it." in refusal(tmp_path, "[agents.x]\nqqqq = 1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents = 3", "'agents' is wrong: it should be a table"),
        ("[agents]\nx = 'y'", "'agents.x' is wrong: it should be a table"),
        ("[agents.x]\nenvironment = 7", "'agents.x.environment' is wrong: it should be text"),
        ("[agents.x]\napprovers = 'dana'", "'agents.x.approvers' is wrong: it should be a list"),
        (
            "[agents.x]\nprompts.y = { follow = 'lable' }",
            "'agents.x.prompts.y.follow' is wrong: input should be 'label'",
        ),
        ("[agents.x]\nbudget = { run_usd = -1 }", "'agents.x.budget.run_usd' is wrong"),
        ("[agents.x]\nbudget = { run_usd = inf }", "'agents.x.budget.run_usd' is wrong"),
        ("[agents.x]\nexpires_hours = 0", "'agents.x.expires_hours' is wrong"),
        ("[agents.x]\nexpires_hours = 1e300", "'agents.x.expires_hours' is wrong"),
        ("[traces]\ncolumns = {}", "'traces.table' is missing"),
        ("[traces]\ntable = 'a.b.c'", "'traces.table' is wrong: it should be a table"),
        ("[traces]\ntable = ''", "'traces.table' is wrong: it should be a table"),
        ("[traces]\ntable = 'x'\ncolumns = { id = 'a..b' }", "'traces.columns.id' is wrong: it should be a column"),
        ("[traces]\ntable = 'x'\ncolumns = { id = 7 }", "'traces.columns.id' is wrong: it should be text"),
        ("[traces]\ntable = 'x'\nhistory_days = 0", "'traces.history_days' is wrong"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_what_is_set_for_a_registry_that_no_agent_has_is_said_to_be_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@mlflow.example.com")
    (tmp_path / "ratchet.toml").write_text(SAMPLE)
    told = "\n".join(describe(load_settings(tmp_path)))
    assert 'MLFLOW_TRACKING_URI: set (hidden); not used, no agent in ratchet.toml has registry = "mlflow"' in told
    (tmp_path / "ratchet.toml").write_text(SAMPLE.replace('"local"', '"mlflow"'))
    told = "\n".join(describe(load_settings(tmp_path)))
    assert "MLFLOW_TRACKING_URI: set (hidden)\n" in told
    assert "secret" not in told


def test_a_registry_that_nobody_has_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[agents.x]\nregistry = 'promptlayr'")
    assert "'agents.x.registry' is wrong: input should be 'local', 'promptlayer' or 'mlflow'" in said


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[people.dana]\ntimezone = 'Europe/Pariss'", "people.dana.timezone"),
        ("[people.dana]\ntimezone = 'europe/PARIIS'", "people.dana.timezone"),
        ("[agents.x]\nschedule = { timezone = 'Europe/Pariss' }", "agents.x.schedule.timezone"),
    ],
)
def test_a_timezone_that_is_none_is_named_with_its_neighbour(tmp_path: Path, text: str, key: str) -> None:
    assert f"the key {key!r} is wrong: it is no timezone that this machine knows" in refusal(tmp_path, text)
    assert "(did you mean 'Europe/Paris'?)" in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["", "/", "..", "../x", "Europe", "\\u0000", "x" * 5000])
def test_what_no_timezone_could_be_called_is_refused_as_well(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, f'[people.dana]\ntimezone = "{name}"')
    assert "it is no timezone that this machine knows" in said
    assert len(said) < 300


def test_times_are_told_in_the_timezone_of_the_person(tmp_path: Path) -> None:
    (tmp_path / "ratchet.toml").write_text(SAMPLE)
    settings = load_settings(tmp_path)
    assert str(settings.timezone_of("slack:U012AB3CD")) == "Europe/Paris"
    assert str(settings.timezone_of("console:eve")) == "UTC"


@pytest.mark.parametrize("cron", ["", "0 6 * *", "0 6 * * * *", "daily"])
def test_a_cron_without_five_fields_is_refused(tmp_path: Path, cron: str) -> None:
    said = refusal(tmp_path, f"[agents.x]\nschedule = {{ cron = '{cron}' }}")
    assert "'agents.x.schedule.cron' is wrong: it should have five fields" in said


def test_whose_the_rows_are_is_said_by_the_table_by_traces_or_by_there_being_one_agent() -> None:
    def whose(**values: object) -> list[str | None]:
        settings = Settings(file=parse_values(values), environment=Environment())
        return [settings.agent_of(table) for table in settings.tables]

    traces, messages = {"table": "t"}, {"table": "public.m", "agent": "own"}
    assert whose(traces=traces) == [None]
    assert whose(traces=traces, messages=messages, agents={"only": {}}) == ["only", "own"]
    assert whose(traces=traces, agents={"one": {}, "two": {}}) == [None]
    assert whose(traces={**traces, "agent": "said"}, agent_config={"table": "c"}, agents={"x": {}}) == ["said", "said"]


def test_an_approver_must_be_a_person_who_can_be_recognised(tmp_path: Path) -> None:
    said = refusal(tmp_path, "[agents.x]\napprovers = ['dna']\n[people.dana]\nconsole = 'dana'")
    assert "'dna' of agents.x is not under [people] (did you mean 'dana'?)" in said
    said = refusal(tmp_path, "[agents.x]\napprovers = ['dana']\n[people.dana]\nlanguage = 'fr'")
    assert "'dana' of agents.x has no channel identity" in said


def test_an_included_prompt_must_be_one_of_the_agents_own(tmp_path: Path) -> None:
    text = "[agents.x]\nprompts.main = { includes = { PLAYBOOKS = 'playbok' } }\nprompts.playbooks = {}"
    said = refusal(tmp_path, text)
    assert "agents.x.prompts.main includes 'playbok' as PLAYBOOKS, which is no prompt of agents.x" in said
    assert "(did you mean 'playbooks'?)" in said


@pytest.mark.parametrize("text", ["[agents.x", "a = ", b"a = '\xff'"])
def test_a_file_that_is_no_toml_is_said_to_be_none(tmp_path: Path, text: str | bytes) -> None:
    assert refusal(tmp_path, text).startswith("ratchet.toml is not ")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "ratchet.toml").write_bytes(b"\xef\xbb\xbf" + SAMPLE.encode())
    assert "dana" in load_settings(tmp_path).file.people


def test_a_folder_called_ratchet_toml_is_not_taken_for_no_settings(tmp_path: Path) -> None:
    (tmp_path / "ratchet.toml").mkdir()
    with pytest.raises(SettingsError, match="which is not a file"):
        load_settings(tmp_path)


def test_the_file_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "team.toml"
    elsewhere.write_text(SAMPLE)
    monkeypatch.setenv("RATCHET_CONFIG", str(elsewhere))
    assert load_settings(tmp_path).path == elsewhere
    monkeypatch.setenv("RATCHET_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(SettingsError, match=r"RATCHET_CONFIG names .*gone\.toml"):
        load_settings(tmp_path)


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("RATCHET_HOME=/from/file\nOPTIMIZER_MODEL=from-file\nOTHER=1\n")
    monkeypatch.setenv("OPTIMIZER_MODEL", "from-environment")
    settings = load_settings(tmp_path)
    assert (str(settings.home), settings.environment.optimizer_model) == ("/from/file", "from-environment")


def test_a_dotenv_that_is_no_text_is_refused_without_its_bytes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DATABASE_URL=sekret\xff\n")
    with pytest.raises(SettingsError, match="is not UTF-8") as caught:
        load_settings(tmp_path)
    assert "sekret" not in f"{caught.value}{caught.value.__cause__!r}"


def test_a_misplaced_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_values({"people": {"dana": {"slack": ["sekret"], "timezone": {"a": "sekret"}}}})
    assert "sekret" not in str(caught.value)


def test_secrets_are_masked_wherever_settings_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SECRETS) >= 9
    for name in SECRETS:
        monkeypatch.setenv(name.upper(), f"sekret-{name}")
    monkeypatch.setenv("SUPABASE_URL", "https://me:sekret/a@sekret@host.example/x")
    settings = load_settings(tmp_path)
    told = "\n".join(describe(settings))
    assert "sekret" not in told
    assert "sekret-" not in f"{settings!r}{settings}{settings.environment!r}"
    assert all(f"{name.upper()}: set (hidden)" in told for name in SECRETS)
    assert "SUPABASE_URL: https://***@host.example/x; not used, DATABASE_URL comes first" in told


def test_doctor_says_which_settings_nothing_reads_yet(tmp_path: Path) -> None:
    (tmp_path / "ratchet.toml").write_text(SAMPLE)
    told = list(describe(load_settings(tmp_path)))
    assert "agents.blog-writer: schedule and budget: accepted, but not used by this release" in told
    assert "person dana: console:dana, slack:U012AB3CD, whatsapp:+33600000001, Europe/Paris" in told
    assert "people.dana: language: accepted, but not used by this release" in told
    assert "prompt master_system_core of blog-writer: loaded by its label prod, includes playbooks as PLAYBOOKS" in told


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("agent.example/reload", 'it should be an address, as in "https://agent.example/reload"'),
        ("file:///etc/passwd", "it should be an address"),
        ("https://", "it should be an address"),
        ("https://me:sekret@agent.example/", "it holds a name or a password; leave them out, each call is signed"),
        (5, "it should be text"),
    ],
)
def test_a_reload_address_that_cannot_be_one_is_refused(url: object, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_values({"agents": {"desk": {"reload": {"url": url}}}})
    assert str(caught.value).startswith(f"ratchet.toml: the key 'agents.desk.reload.url' is wrong: {words}")
    assert "sekret" not in str(caught.value)


def test_a_misspelt_key_of_reload_is_met_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"'agents.desk.reload.ur' is not known \(did you mean 'url'\?\)"):
        parse_values({"agents": {"desk": {"reload": {"ur": "https://agent.example/"}}}})


def test_doctor_says_whether_an_agent_is_told_to_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ratchet.toml").write_text(
        '[agents.desk]\nreload = { url = "https://agent.example/reload?key=sekret" }\nprompts.core = {}\n'
        'prompts.rules = { follow = "label" }\n'
    )
    told = list(describe(load_settings(tmp_path)))
    assert "agents.desk: reload: nothing is sent while RATCHET_RELOAD_SECRET is not set; set it here and there" in told
    assert "prompt core of desk: loaded by its label prod (assumed)" in told
    assert "prompt rules of desk: loaded by its label prod" in told
    monkeypatch.setenv("RATCHET_RELOAD_SECRET", "sekret")
    told = list(describe(load_settings(tmp_path)))
    assert (
        "agents.desk: reload: told at https://agent.example/reload after each deployment and rollback, signed" in told
    )
    assert "RATCHET_RELOAD_SECRET: set (hidden)" in told
    assert "sekret" not in "".join(told)
