"""`taxi-assets ledger`: what has landed, and whether it still holds."""

from __future__ import annotations

import dataclasses
import json

import click

from taxi_assets.cli import FAILED, LANDED
from taxi_assets.cli.common import dataset_named, examples, load_settings, out, print_ledger
from taxi_assets.contracts import DATASETS
from taxi_assets.reconciliation import ledger_of, verify


@click.command(
    "ledger",
    epilog=examples(
        "ledger                              every month of every dataset",
        "ledger yellow --json                one dataset, as JSON",
        "ledger --verify                     recount everything",
    ),
)
@click.argument("name", metavar="[DATASET]", required=False)
@click.option("--verify", "verified", is_flag=True, help="Recount the stores and read every file's bytes again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, an object for each month.")
def command(name: str | None, *, verified: bool, as_json: bool) -> int:
    """Show what has landed, and whether no row is lost."""
    settings = load_settings()
    datasets = [dataset_named(name)] if name else list(DATASETS.values())
    rows = [row for dataset in datasets for row in ledger_of(settings, dataset).values()]
    if verified:
        rows = [
            dataclasses.replace(row, status="failed", error="; ".join(wrong))
            if (wrong := verify(settings, row))
            else row
            for row in rows
        ]
    if as_json:
        out.print_json(json.dumps([row.to_dict() for row in rows]))
    elif rows:
        print_ledger(rows)
        if verified and not any(row.error for row in rows):
            out.print(f"\nverified: {len(rows)} months, every file read and every store recounted")
    else:
        out.print("nothing has landed yet; land a month with: taxi-assets run yellow 2021-01")
    return FAILED if any(row.status == "failed" for row in rows) else LANDED
