"""How a text reaches people: a webhook that takes what Slack takes, and e-mail. Knows no Dagster."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import requests

from taxi_assets.settings import Settings

TIMEOUT_SECONDS = 5.0
MAX_TEXT, MAX_SUBJECT = 10_000, 200
"""Characters of a message and of a mail's subject; the rest is cut."""


def channels(settings: Settings) -> list[str]:
    """Return where alerts go besides the log."""
    mail = settings.alert_email and settings.smtp_url
    return [name for name, wanted in (("webhook", settings.alert_webhook), ("e-mail", mail)) if wanted]


def send(settings: Settings, channel: str, text: str) -> str:
    """Send a text; return why it did not arrive, without the address, which may hold a token; empty if it did."""
    try:
        refused = (_post if channel == "webhook" else _mail)(settings, cut(text, MAX_TEXT))
    except (OSError, ValueError) as error:  # the exceptions of requests, smtplib and ssl are kinds of OSError
        refused = f"the {channel} could not be reached ({type(error).__name__})"
    return f"not delivered, will be sent again: {refused}" if refused else ""


def cut(text: str, limit: int) -> str:
    """Return a text, shortened if it has more characters than the limit."""
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."


def _post(settings: Settings, text: str) -> str:
    # what files and sources say must not become a mention or a link
    # https://docs.slack.dev/messaging/formatting-message-text
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    response = requests.post(settings.alert_webhook, json={"text": escaped}, timeout=TIMEOUT_SECONDS)
    return "" if response.ok else f"the webhook answers {response.status_code}"


def _mail(settings: Settings, text: str) -> str:
    server = urlsplit(settings.smtp_url)
    message = EmailMessage()
    message["Subject"] = cut(text.splitlines()[0], MAX_SUBJECT)
    message["From"] = message["To"] = settings.alert_email
    message.set_content(text)
    host, port, trusted = server.hostname or "", server.port or 0, ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=trusted)
        if server.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    ) as link:
        if server.username:
            if server.scheme == "smtp":
                link.starttls(context=trusted)  # raises if the server does not offer it
            link.login(unquote(server.username), unquote(server.password or ""))
        link.send_message(message)
    return ""
