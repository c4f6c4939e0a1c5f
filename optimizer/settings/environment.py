"""Secrets and addresses: the environment, and `.env`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """Secrets and addresses; the names are those of the environment variables."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    ratchet_config: Path | None = None  # the ratchet.toml, where it is not in the working folder
    ratchet_home: Path = Path(".ratchet")
    database_url: SecretStr | None = None
    supabase_url: str | None = None
    supabase_service_role_key: SecretStr | None = None
    promptlayer_api_key: SecretStr | None = None
    promptlayer_base_url: str | None = None  # where it is not PromptLayer's own
    promptlayer_prompt_prefix: str = ""
    mlflow_tracking_uri: SecretStr | None = None  # a server, or its database: both may hold a login
    mlflow_tracking_username: SecretStr | None = None
    mlflow_tracking_password: SecretStr | None = None
    mlflow_tracking_token: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    optimizer_model: str | None = None
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None
    slack_base_url: str | None = None  # where it is not Slack's own
    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_whatsapp_from: str | None = None
    twilio_content_sid: str | None = None  # the templates, as `ratchet whatsapp setup` names them
    twilio_news_sid: str | None = None
    twilio_buttons_sid: str | None = None
    twilio_base_url: str | None = None  # where it is not Twilio's own
    green_api_instance_id: str | None = None
    green_api_token: SecretStr | None = None
    green_api_url: str | None = None
    green_api_relay_key: SecretStr | None = None  # the agent reads the instance, and hands on what arrives
    whatsapp_allowed_chat_id: str | None = None
    web_api_key: SecretStr | None = None
    ratchet_reload_secret: SecretStr | None = None  # signs what is sent to an agent's reload address
    public_url: str | None = None
