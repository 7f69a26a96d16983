"""The `taxi-assets` command: arguments in, exit status out. What a command does stands in `taxi_assets.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from taxi_assets.trips.failures import TaxiError

LANDED, FAILED, BAD_ARGUMENTS, NOT_PUBLISHED = range(4)
"""Exit statuses: all that is published has landed; something failed; bad arguments or settings; nothing is published."""

_EXAMPLES = """\
examples:
  taxi-assets run yellow 2021-01                one month, from the source to the warehouse
  taxi-assets run green 2020-03..2020-06 --json a range, the result as JSON
  taxi-assets ledger --verify                   recount everything that has landed
  taxi-assets query "SELECT count(*) FROM nyc_tlc.yellow_trips"

exit status:
  0  every month that is published has landed
  1  something failed; the message says which month, and why
  2  the arguments or a setting cannot be used
  3  none of the months is published
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words of the command line, by default the process's own.

    Returns:
        The exit status.
    """
    parser = _parser()
    try:
        words = parser.parse_args(arguments)
        return int(words.command(words))
    except TaxiError as error:
        print(f"taxi-assets: {error}", file=sys.stderr)  # noqa: T201
        from taxi_assets.settings import SettingError

        return BAD_ARGUMENTS if isinstance(error, SettingError) else FAILED
    except KeyboardInterrupt:
        print("taxi-assets: stopped; what has landed stays, run it again for the rest", file=sys.stderr)  # noqa: T201
        return FAILED


def _parser() -> argparse.ArgumentParser:
    from taxi_assets import commands

    parser = argparse.ArgumentParser(
        prog="taxi-assets",
        description="New York's taxi trips, from TLC's files to a warehouse.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_subparsers(required=True, metavar="command").add_parser

    run = add("run", help="land months of a dataset, from the source to the warehouse")
    run.add_argument("dataset", help="yellow, green, fhv or fhvhv")
    run.add_argument("months", help="2021-01, 2021-01..2021-03, 2021, or several after commas")
    run.add_argument("--json", action="store_true", help="print one JSON list, an object for each month")
    run.add_argument("--verbose", action="store_true", help="show Dagster's own log too")
    run.set_defaults(command=commands.run)

    ledger = add("ledger", help="show what has landed")
    ledger.add_argument("dataset", nargs="?", help="only this dataset")
    ledger.add_argument("--verify", action="store_true", help="recount the stores and read every file's bytes again")
    ledger.add_argument("--json", action="store_true", help="print one JSON list, an object for each month")
    ledger.set_defaults(command=commands.ledger)

    query = add("query", help="ask the warehouse in SQL")
    query.add_argument("sql", help="one query")
    query.set_defaults(command=commands.query)

    demo = add("demo", help="land made-up months, offline, and look at them")
    demo.set_defaults(command=commands.demo)

    dev = add("dev", help="Dagster's UI on this machine, with schedules and sensors alive")
    dev.add_argument("--port", type=int, default=3000, help="port on 127.0.0.1 (3000)")
    dev.set_defaults(command=commands.dev)
    return parser


if __name__ == "__main__":
    sys.exit(main())
