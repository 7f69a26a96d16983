"""How a message leaves: to whom a password is shown, what Slack may take for its own markup, how long it may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_assets.sensors.delivery import MAX_SUBJECT, MAX_TEXT, send
from taxi_assets.settings import Settings
from taxi_assets_tests.servers.alert_receivers import mail_server, make_certificate, webhook


def mail(url: str) -> Settings:
    """Return settings of a mail server that asks for a password."""
    return Settings(alert_email="taxi@example.com", smtp_url=url.replace("://", "://reader:PASS-WORD@"))


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_is_sent_only_to_a_mail_server_whose_certificate_is_trusted(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    with mail_server(scheme, certificate) as server:
        assert "SSLCertVerificationError" in send(mail(server.url), "e-mail", "hello")
        assert (server.logins, server.texts) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert send(mail(server.url), "e-mail", "hello") == ""
        assert len(server.logins) == 1
        assert [text.strip() for text in server.texts] == ["hello"]


def test_a_password_is_not_sent_to_a_mail_server_that_does_not_encrypt() -> None:
    with mail_server() as server:
        assert "SMTPNotSupportedError" in send(mail(server.url), "e-mail", "hello")
        assert (server.logins, server.texts) == ([], [])


def test_what_files_and_sources_say_is_no_markup_in_slack() -> None:
    with webhook() as slack:
        text = "the file begins with <!channel> & <https://example.com|click here>"
        assert send(Settings(alert_webhook=slack.url), "webhook", text) == ""
        assert slack.texts == ["the file begins with &lt;!channel&gt; &amp; &lt;https://example.com|click here&gt;"]


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    with webhook() as slack, mail_server() as server:
        settings = Settings(alert_webhook=slack.url, alert_email="taxi@example.com", smtp_url=server.url)
        for channel in ("webhook", "e-mail"):
            assert send(settings, channel, "x" * 3 * MAX_TEXT) == ""
    assert [len(text.strip()) for text in [*slack.texts, *server.texts]] == [MAX_TEXT, MAX_TEXT]
    assert slack.texts[0].endswith("x ...")
    assert len(server.subjects[0]) == MAX_SUBJECT
