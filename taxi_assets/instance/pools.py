"""Pools: what a run waits for, and steps that would wait for ever.

In dagster 1.13, `SqlEventLogStorage.claim_concurrency_slot` looks for a free slot, and then joins the queue. If the
slot is freed in between, nobody assigns it: the step waits until another step of the pool ends, if one ever does. Seen
once in some hundred pairs of runs. Delete `requeue_lost_steps` when Dagster does both in one transaction.
"""

from __future__ import annotations

import dagster as dg

from taxi_assets import progress


def notify_of_pools(instance: dg.DagsterInstance, run_id: str, told: set[str]) -> None:
    """Notify of each pool for which a run waits, once, and of the runs that hold it."""
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys() - told:
        info = storage.get_concurrency_info(pool)
        if run_id in info.pending_run_ids:
            told.add(pool)
            holders = ", ".join(sorted(holder[:8] for holder in info.active_run_ids))
            progress.notify_of_wait(f"the pool {pool}{holders and f', held by run {holders}'}")


def requeue_lost_steps(instance: dg.DagsterInstance) -> int:
    """Take steps that wait in spite of a free slot out of the queue, and count them; they join it again within seconds.

    A step that gets the slot at this very moment shares it for once; the stores have locks of their own.
    """
    storage, lost = instance.event_log_storage, 0
    for pool in storage.get_concurrency_keys():
        info = storage.get_concurrency_info(pool)
        if info.slot_count > info.assigned_step_count:
            for step in info.pending_steps:
                if step.assigned_timestamp is None:
                    storage.free_concurrency_slot_for_step(step.run_id, step.step_key)
                    lost += 1
    return lost
