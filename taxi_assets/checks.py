"""The checks of each asset, as Dagster shows them. What they check stands in `taxi_assets.transform.quality`."""

from __future__ import annotations

import dagster as dg

LEDGER = "No row was lost: what came in is what went out, was dropped by a rule, or was rejected."
CHECKS: dict[str, dict[str, str]] = {
    "raw_file": {"not_empty": "The file has rows."},
    "cleaned_parquet": {
        "ledger": f"{LEDGER} And few enough rows were rejected (TAXI_REJECTED_SHARE_LIMIT).",
        "schema": "The file has the contract's columns and types. Warns of source columns that are unknown or absent.",
        "rejected": "Every row could be read. Warns only; the ledger's limit decides whether the month goes on.",
        "oddities": "Strange rows (dated outside the month, negative fares, zero passengers, ...) are about as many "
        "as in the months before. Warns only.",
    },
    "gcs_object": {"ledger": LEDGER},
    "bigquery_table": {"ledger": LEDGER},
    "postgres_table": {"ledger": LEDGER},
}
"""For each asset, its checks and what they hold."""


def specs_of(key: dg.AssetKey, partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset; a month that fails one (but for warnings) does not go on.

    The asset's body leaves such a month out of its output. Dagster's own blocking would stop every month of the run.
    """
    return [
        dg.AssetCheckSpec(name, asset=key, description=text, partitions_def=partitions)
        for name, text in CHECKS[key.path[-1]].items()
    ]
