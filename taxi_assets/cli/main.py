"""The `taxi-assets` command: arguments in, exit status out. What a command does stands in `taxi_assets.cli`."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from taxi_assets.errors import TaxiError

LANDED, FAILED, BAD_ARGUMENTS, NOT_PUBLISHED = range(4)
"""Exit statuses: all that is published landed; something failed; bad arguments or settings; nothing is published."""

_STATUSES = """\
exit status:
  0  every month that is published has landed
  1  something failed; the message says which month, and why
  2  the arguments or a setting cannot be used
  3  none of the months is published

`taxi-assets COMMAND --help` has examples. Settings come from the environment and from .env; the README lists them.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors read as all others do."""

    def error(self, message: str) -> NoReturn:
        from taxi_assets.settings import SettingError

        raise SettingError(message, location=f"the words after `{self.prog}`", remedy=f"see `{self.prog} --help`")


def run() -> NoReturn:
    """Be the process: run the command and end with its status.

    Dagster and its libraries make 250,000 objects. To look through them for garbage while they are made, and to free
    them one by one at the end, would take 1.5 of 5 seconds (measured); mypy's command line avoids both in this way.
    """
    if sys.getfilesystemencoding() != "utf-8":  # pyarrow and DuckDB take names of files in UTF-8 only
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})  # noqa: S606
    gc.set_threshold(100_000)
    status = main()
    atexit._run_exitfuncs()  # noqa: SLF001 - what was registered for the end still happens
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words of the command line, by default the process's own.

    Returns:
        The exit status.
    """
    try:
        words = _parser().parse_args(arguments)
        return int(words.command(words))
    except TaxiError as error:
        print(f"taxi-assets: {error}", file=sys.stderr)  # noqa: T201
        from taxi_assets.settings import SettingError

        return BAD_ARGUMENTS if isinstance(error, SettingError) else FAILED
    except KeyboardInterrupt:
        print("taxi-assets: stopped; what has landed stays, run it again for the rest", file=sys.stderr)  # noqa: T201
        return FAILED


def _parser() -> argparse.ArgumentParser:
    from taxi_assets import cli as commands

    parser = _Parser(
        prog="taxi-assets",
        description="New York's taxi trips, from TLC's files to a warehouse.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, does: Callable[[argparse.Namespace], int], text: str, *examples: str) -> argparse.ArgumentParser:
        command = subparsers.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog="\n  ".join(["examples:", *(f"taxi-assets {example}" for example in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(command=does)
        return command

    run = add(
        "run",
        commands.land_months,
        "land months of a dataset, from the source to the warehouse",
        "run yellow 2021-01                  one month",
        "run green 2020-03..2020-06 --json   a range, the result as JSON",
        "run fhv 2019,2020-02                a year and a month",
    )
    run.add_argument("dataset", help="yellow, green, fhv or fhvhv")
    run.add_argument("months", help="2021-01, 2021-01..2021-03, 2021, or several after commas")
    run.add_argument("--json", action="store_true", help="print one JSON list, an object for each month")
    run.add_argument("--verbose", action="store_true", help="show Dagster's own log too")

    ledger = add(
        "ledger",
        commands.show_ledger,
        "show what has landed, and whether no row is lost",
        "ledger                              every month of every dataset",
        "ledger yellow --json                one dataset, as JSON",
        "ledger --verify                     recount everything",
    )
    ledger.add_argument("dataset", nargs="?", help="only this dataset")
    ledger.add_argument("--verify", action="store_true", help="recount the stores and read every file's bytes again")
    ledger.add_argument("--json", action="store_true", help="print one JSON list, an object for each month")

    report = add(
        "report",
        commands.make_reports,
        "make pages with charts of months that have landed, and print where they are",
        "report yellow 2021-01",
        "report green 2020-03",
    )
    report.add_argument("dataset", help="yellow, green, fhv or fhvhv")
    report.add_argument("months", help="as for run")

    query = add(
        "query",
        commands.ask_warehouse,
        "ask the warehouse in SQL",
        'query "SELECT source_month, count(*) FROM nyc_tlc.yellow_trips GROUP BY 1 ORDER BY 1"',
    )
    query.add_argument("sql", help="one query")

    add("demo", commands.show_demo, "land made-up months, offline, and look at them", "demo")

    dev = add(
        "dev",
        commands.start_ui,
        "show Dagster's UI on this machine, with its daemon",
        "dev                                 on http://127.0.0.1:3000",
        "dev --port 3001                     beside something else",
    )
    dev.add_argument("--port", type=int, default=3000, help="port on 127.0.0.1 (3000)")

    add(
        "migrate", commands.migrate_storage, "make or upgrade Dagster's storage, as `dev` does at each start", "migrate"
    )
    add(
        "provision",
        commands.provision_google,
        "make bucket, dataset and tables in Google Cloud, and print the roles needed",
        "provision                           with TAXI_PROFILE=gcp, TAXI_GCP_PROJECT and TAXI_GCS_BUCKET set",
    )
    add(
        "doctor",
        commands.try_everything,
        "try every setting, credential, permission and connection, and say what to fix",
        "doctor",
    )
    return parser


if __name__ == "__main__":
    run()
