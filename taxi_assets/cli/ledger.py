"""`taxi-assets ledger`: what has landed, where it is, and whether it still holds."""

from __future__ import annotations

import json

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import (
    dataset_named,
    err,
    examples,
    hint_at_demo,
    load_settings,
    out,
    print_ledger,
    print_places,
)
from taxi_assets.cli.run import months_named
from taxi_assets.contracts import DATASETS
from taxi_assets.months import Month, format_months
from taxi_assets.reconciliation import Ledger


@click.command(
    "ledger",
    epilog=examples(
        "ledger                              every month of every dataset",
        "ledger yellow --json                one dataset, as JSON",
        "ledger yellow 2021-01..2021-03      some months",
        "ledger --verify                     read every file and table again",
    ),
)
@click.argument("name", metavar="[DATASET]", required=False)
@click.argument("months", metavar="[MONTHS]", required=False)
@click.option("--verify", "verified", is_flag=True, help="Read every byte and value again, and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object for each month.")
def command(name: str | None, months: str | None, *, verified: bool, as_json: bool) -> int:
    """Show what has landed, where it is, and whether no row is lost.

    Without --verify, it counts the rows in every store. With it, a month that is marked as landed has: a raw file, a
    cleaned file and an object with the checksums recorded when they were made; as many rows everywhere as were
    cleaned; in DuckDB and Postgres, the very values of its object. For Google's stores it relies on the checksums and
    counts that they report. It does not ask the source again. Of a month whose raw and cleaned files are not on this
    machine, it compares object and tables; `-` is what cannot be known without those files.

    A month that has been cleaned or is in the lake, but is not yet in every table, is "not loaded": its run stopped or
    failed on the way or made only some assets, Postgres was set up later, or it was cleaned again since. `taxi-assets
    run DATASET MONTH` lands it, or says why it cannot. A month is "failed" if a store has lost or changed it, or a
    check keeps it out of the lake. The exit status is 1 if a month is failed or, with --verify, not in the warehouse:
    without --verify, a month that both lake and warehouse have lost looks like one that never reached them. A month of
    which no store has anything is not listed; Dagster's UI shows its run, under Runs. With --verify, the exit status is
    1 also if nothing is listed, or if one of MONTHS is not: a wrong folder or a missing disk is no whole archive.
    """
    settings = load_settings()
    datasets = [dataset_named(name)] if name else list(DATASETS.values())
    wanted = months_named(datasets[0], months) if months else None
    nothing = " ".join(filter(None, ["nothing", name and f"of {name}", months]))
    ledger = Ledger(settings)
    rows = [row for dataset in datasets for row in ledger.rows(dataset, wanted).values()]
    if verified:
        rows = [ledger.verified(row) for row in rows]
    unlisted = sorted({*(wanted or ())} - {Month.parse(row.month) for row in rows})
    if verified and not rows:
        err.print(f"taxi-assets: {nothing} has landed here, so there is nothing to verify")
    elif verified and unlisted:
        err.print(f"taxi-assets: {datasets[0].name} {format_months(unlisted)} is in no store")
    if as_json:
        out.print_json(json.dumps([row.to_dict() for row in rows]))
    elif rows:
        print_ledger(rows)
        print_places(settings)
        if verified and not unlisted and all(row.status == "landed" for row in rows):
            read = (
                "every file read" if all(row.is_staged for row in rows) else "every file read that is on this machine"
            )
            count = "1 month" if len(rows) == 1 else f"{len(rows)} months"
            out.print(f"\nverified: {count}, {read}, every store counted and compared")
    else:
        if not verified:
            out.print(f"{nothing} has landed yet; to land it: taxi-assets run {name or 'yellow'} {months or '2021-01'}")
            hint_at_demo(settings, "ledger")
        print_places(settings)
    missing = not rows or unlisted or any(row.status == "not_loaded" and not row.table for row in rows)
    return FAILED if (verified and missing) or any(row.status == "failed" for row in rows) else LANDED
