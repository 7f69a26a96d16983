"""How a busy or broken link is tried again: the one policy for sources and stores.

Inside the step, month by month. Dagster's own `RetryPolicy` would run the whole step again, after the steps further
down have worked on what had landed.
"""

from __future__ import annotations

import tenacity

from taxi_assets.errors import TransientError

_MAX_WAITS = 60
"""No wait is longer than this many first waits, unless the other side asks for it."""
_MAX_RETRY_AFTER_SECONDS = 120.0
"""Seconds up to which a `Retry-After` is obeyed; a month that must wait longer is left for the next run."""


def retrying(attempts: int, first_wait: float) -> tenacity.Retrying:
    """Return what calls a function until it raises no `TransientError`, with exponential backoff and jitter.

    Args:
        attempts: How often it is called at most.
        first_wait: Seconds before the second call; doubled each time.
    """
    backoff = tenacity.wait_exponential(first_wait, max=_MAX_WAITS * first_wait) + tenacity.wait_random(0, first_wait)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, TransientError) else 0.0
        return max(float(backoff(state)), min(asked, _MAX_RETRY_AFTER_SECONDS))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        stop=tenacity.stop_after_attempt(attempts),
        wait=wait,
        reraise=True,
    )
