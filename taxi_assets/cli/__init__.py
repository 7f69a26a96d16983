"""What each command does. Heavy imports happen inside, so that `--help` is quick.

No function here has the name of a module beside it: importing the module would put it in the function's place.
"""

from __future__ import annotations

import argparse


def land_months(words: argparse.Namespace) -> int:
    """`taxi-assets run`: land months."""
    from taxi_assets.cli.run import command

    return command(words.dataset, words.months, as_json=words.json, verbose=words.verbose)


def show_ledger(words: argparse.Namespace) -> int:
    """`taxi-assets ledger`: show what has landed."""
    from taxi_assets.cli.ledger import command

    return command(words.dataset, verified=words.verify, as_json=words.json)


def make_reports(words: argparse.Namespace) -> int:
    """`taxi-assets report`: months in pictures."""
    from taxi_assets.cli.report import command

    return command(words.dataset, words.months)


def ask_warehouse(words: argparse.Namespace) -> int:
    """`taxi-assets query`: ask the warehouse."""
    from taxi_assets.cli.query import command

    return command(words.sql)


def show_demo(words: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its words
    """`taxi-assets demo`: land made-up months and look at them."""
    from taxi_assets.cli.demo import command

    return command()


def start_ui(words: argparse.Namespace) -> int:
    """`taxi-assets dev`: the UI."""
    from taxi_assets.cli.dev import command

    return command(words.port)


def migrate_storage(words: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its words
    """`taxi-assets migrate`: Dagster's storage made ready."""
    from taxi_assets.cli.migrate import command

    return command()


def provision_google(words: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its words
    """`taxi-assets provision`: bucket, dataset and tables in Google Cloud."""
    from taxi_assets.cli.provision import command

    return command()


def try_everything(words: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its words
    """`taxi-assets doctor`: every setting, credential, permission and connection tried."""
    from taxi_assets.cli.doctor import command

    return command()
