"""How a text reaches people: a webhook that takes what Slack takes, e-mail, the log. Knows no Dagster."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from taxi_assets.settings import Settings

TIMEOUT = 10.0


class UndeliveredError(Exception):
    """A text did not arrive; says why without the address, which may hold a token."""


def channels(settings: Settings) -> list[str]:
    """Return where alerts go besides the log."""
    mail = settings.alert_email and settings.smtp_url
    return [name for name, wanted in (("webhook", settings.alert_webhook), ("e-mail", mail)) if wanted]


def deliver(settings: Settings, channel: str, text: str) -> None:
    """Send a text.

    Raises:
        UndeliveredError: It did not arrive.
    """
    try:
        (_post if channel == "webhook" else _mail)(settings, text)
    except (OSError, ValueError) as error:  # the exceptions of requests and smtplib are kinds of OSError
        raise UndeliveredError(f"the {channel} could not be reached ({type(error).__name__})") from None


def _post(settings: Settings, text: str) -> None:
    import requests

    response = requests.post(settings.alert_webhook, json={"text": text}, timeout=TIMEOUT)
    if not response.ok:
        raise UndeliveredError(f"the webhook answers {response.status_code}")


def _mail(settings: Settings, text: str) -> None:
    server = urlsplit(settings.smtp_url)
    message = EmailMessage()
    message["Subject"] = text.splitlines()[0]
    message["From"] = message["To"] = settings.alert_email
    message.set_content(text)
    kind = smtplib.SMTP_SSL if server.scheme == "smtps" else smtplib.SMTP
    with kind(server.hostname or "", server.port or 0, timeout=TIMEOUT) as link:
        if server.username:
            if server.scheme == "smtp":
                link.starttls()
            link.login(unquote(server.username), unquote(server.password or ""))
        link.send_message(message)
