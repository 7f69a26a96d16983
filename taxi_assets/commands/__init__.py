"""What each command does. Heavy imports happen inside, so that `--help` is quick."""

from __future__ import annotations

import argparse


def run(words: argparse.Namespace) -> int:
    """`taxi-assets run`: land months."""
    from taxi_assets.commands.run import command

    return command(words.dataset, words.months, as_json=words.json, verbose=words.verbose)


def ledger(words: argparse.Namespace) -> int:
    """`taxi-assets ledger`: show what has landed."""
    from taxi_assets.commands.ledger import command

    return command(words.dataset, verified=words.verify, as_json=words.json)


def query(words: argparse.Namespace) -> int:
    """`taxi-assets query`: ask the warehouse."""
    from taxi_assets.commands.query import command

    return command(words.sql)


def demo(words: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its words
    """`taxi-assets demo`: land made-up months and look at them."""
    from taxi_assets.commands.demo import command

    return command()


def dev(words: argparse.Namespace) -> int:
    """`taxi-assets dev`: the UI."""
    from taxi_assets.commands.dev import command

    return command(words.port)
