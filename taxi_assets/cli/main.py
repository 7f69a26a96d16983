"""The click group of `taxi-assets`: arguments in, exit status out. Each command has a module of its own beside this.

See https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import os
import platform
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

from taxi_assets.cli import BAD_ARGUMENTS, FAILED, LANDED
from taxi_assets.errors import TaxiError

COMMANDS = {
    "run": "Land months of a dataset, from the source to the warehouse.",
    "ledger": "Show what has landed, and whether no row is lost.",
    "report": "Make pages with charts of months that have landed.",
    "query": "Query the warehouse in SQL.",
    "zones": "Land the names of the taxi zones.",
    "demo": "Land made-up months, offline, and look at them.",
    "dev": "Start Dagster's UI on this machine, with its daemon.",
    "init": "Write a `.env` with every setting explained, which only this user can read.",
    "migrate": "Create or upgrade Dagster's storage, as `dev` does at each start.",
    "provision": "Create bucket, dataset and tables in Google Cloud, and print the roles needed.",
    "doctor": "Try every setting, credential, permission and connection, and say what to fix.",
}
"""What `taxi-assets --help` says of each command, without importing any of them."""

_STATUSES = """\
\b
exit status:
  0    all went well: nothing failed
  1    something failed; the message says which month, and why
  2    the arguments or a setting cannot be used
  3    none of the months is published
  130  stopped by Ctrl-C (143 by SIGTERM, 129 by a closed terminal); what has landed stays

`taxi-assets COMMAND --help` has examples. Settings come from the environment and from .env; the README lists them.
"""


_SIGNALED = 128
"""Exit statuses from here on name the signal that ended the command, as shells do."""


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is called; together they would take a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of a newcomer's needs."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"taxi_assets.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    epilog=_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="taxi_assets", message="%(prog)s %(version)s")
def taxi_assets() -> None:
    """New York's taxi trips, from TLC's files to a warehouse."""


def run() -> NoReturn:
    """Run the command as a process, and exit with its status.

    Dagster and its libraries make 300,000 objects. To look through them for garbage while they are made and later, and
    to free them one by one at the end, takes 1.1 of 2.9 processor seconds (`run` of a small month). Garbage is
    collected from when Dagster's instance is open, and only what is made from then on; commands that open none never
    collect. mypy's command line ends alike.
    """
    if sys.getfilesystemencoding() != "utf-8":  # pyarrow and DuckDB take names of files in UTF-8 only
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {"PYTHONUTF8": "1"})  # noqa: S606
    # of Arrow's allocators the one with the least memory, by 110 MiB for the largest row group, and time, by 20%;
    # pyarrow has it on x86-64 Linux only, and the system's is second
    jemalloc = sys.platform == "linux" and platform.machine() == "x86_64"
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc" if jemalloc else "system")
    # what cleaning has freed is the system's again when DuckDB loads; after Arrow's 1,000 ms a month takes 80 MiB more
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "dirty_decay_ms:100")
    gc.disable()
    gc.set_threshold(100_000)
    # A script's background job starts with SIGINT ignored, and where Dagster runs in its main thread it then ignores
    # SIGTERM alike. The `tail` that copies a step's output inherits both: each step would wait 60 s for its end.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, _stop)
    try:
        status = main()
    except OSError as error:  # even the error cannot be told: the terminal is closed
        if error.errno != errno.EIO:
            raise
        with contextlib.suppress(OSError):  # unless it is a disk that fails
            traceback.print_exc()
        status = _SIGNALED + signal.SIGHUP
    if status < _SIGNALED:
        atexit._run_exitfuncs()  # noqa: SLF001 - what was registered for the end still happens
    with contextlib.suppress(OSError):  # the terminal is closed
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
        words = list(arguments) if arguments is not None else None
        return int(taxi_assets.main(words, prog_name="taxi-assets", standalone_mode=False) or LANDED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return BAD_ARGUMENTS
    except click.UsageError as error:
        return _fail(_explained(error), BAD_ARGUMENTS)
    except TaxiError as error:
        from taxi_assets.settings import SettingError

        return _fail(error, BAD_ARGUMENTS if isinstance(error, SettingError) else FAILED)
    except (click.Abort, KeyboardInterrupt):
        return _stopped(signal.SIGINT)
    except _Stop as stop:
        return _stopped(stop.number)


class _Stop(BaseException):
    """A signal asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: object) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the end takes a second; a closed terminal sends two
        signal.signal(each, lambda *_: None)
    raise _Stop(number)


def _stopped(number: int) -> int:
    with contextlib.suppress(OSError):  # the terminal is closed
        _fail("stopped; what has landed stays, run it again for the rest", FAILED)
    return _SIGNALED + number


def _fail(error: object, status: int) -> int:
    click.echo(f"taxi-assets: {error}", err=True)
    return status


def _explained(error: click.UsageError) -> TaxiError:
    """Return what is wrong with the arguments, as all errors read."""
    path = error.ctx.command_path if error.ctx else "taxi-assets"
    return TaxiError(
        error.format_message().rstrip("."),
        location=f"the arguments of `{path}`",
        remedy=f"see `{path} --help`",
    )


if __name__ == "__main__":
    run()
