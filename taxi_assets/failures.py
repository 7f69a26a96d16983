"""How the project's errors become Dagster's: the one place that decides whether a step is retried.

A `PermanentError` fails the step at once, a `TransientError` leaves it to the asset's `RetryPolicy`
(https://docs.dagster.io/guides/build/ops/op-retries). `NotPublishedError` never gets here: `raw_file` skips the month.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator

import dagster as dg

from taxi_assets import progress
from taxi_assets.errors import MachineError, NotPublishedError, PermanentError, TaxiError, TransientError
from taxi_assets.months import Month
from taxi_assets.partitions import partition_key

MAX_RETRY_AFTER_SECONDS = 300.0
"""A server's `Retry-After` is obeyed up to this; a month that must wait longer is left to the next run."""


def retry_policy(attempts: int, first_wait: float) -> dg.RetryPolicy:
    """Return the one retry policy of the project.

    Args:
        attempts: How often a step is tried.
        first_wait: Seconds before the second attempt; doubled each time.
    """
    return dg.RetryPolicy(
        max_retries=attempts - 1, delay=first_wait, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
    )


@contextlib.contextmanager
def reported_failures(
    key: dg.AssetKey,
    month: Month | None,
    *,
    retries: dg.RetryPolicy | None = None,
    retry_number: int = 0,
    observe: Callable[[dg.AssetObservation], None] | None = None,
) -> Iterator[None]:
    """Raise the errors of a step as Dagster's.

    Args:
        key: The asset.
        month: The month; None for assets without partitions.
        retries: The asset's policy, for errors that name their own wait.
        retry_number: How often the step has been retried.
        observe: Takes a note on a month that failed for good, so that the asset's page in the UI says why.

    Raises:
        dagster.Failure: The step failed.
        dagster.RetryRequested: The error says how long to wait.
        NotPublishedError: As it is; it is no failure.
    """

    def note(error: TaxiError) -> None:
        if observe and month:
            metadata = {"status": "failed", "kind": error.kind, **parts_of(error)}
            observe(
                dg.AssetObservation(key, partition=partition_key(month), description=error.message, metadata=metadata)
            )

    try:
        yield
    except NotPublishedError:
        raise
    except (OSError, TaxiError) as raised:
        subject = f"{key.path[0]} {month}" if month else key.to_user_string()
        error = _machine_failure(raised, subject) if isinstance(raised, OSError) else raised
        if not isinstance(error, TransientError):
            note(error)
            raise _failure(error, key, month, retry=False) from raised
        asked, is_last = error.wait_before(retry_number + 1), retries and retry_number >= retries.max_retries
        too_long = asked > MAX_RETRY_AFTER_SECONDS
        if retries and not is_last and not too_long:
            wait = max(asked, retries.calculate_delay(retry_number + 1))
            _notify_of_attempt(error, subject, retry_number + 2, retries.max_retries + 1, wait)
        if asked and retries and not is_last and not too_long:
            raise dg.RetryRequested(max_retries=retries.max_retries, seconds_to_wait=wait) from raised
        if is_last or too_long:
            note(error)
        raise _failure(error, key, month, retry=not too_long) from raised


def parts_of(error: TaxiError) -> dict[str, str]:
    """Return an error as metadata: what happened, where and what to do, a line each in the UI."""
    parts = {"error": error.message, "location": error.location, "remedy": error.remedy}
    return {name: text for name, text in parts.items() if text}


def _notify_of_attempt(error: TaxiError, subject: str, attempt: int, attempts: int, wait: float) -> None:
    if wait:
        seconds = f"about {wait:.0f} s" if wait >= 1 else "a moment"
        progress.notify_of_wait(f"attempt {attempt} of {attempts}, in {seconds}: {subject}: {error.message}")


def _failure(error: TaxiError, key: dg.AssetKey, month: Month | None, *, retry: bool = True) -> dg.Failure:
    subject = f"{key.to_user_string()} for {month}" if month else key.to_user_string()
    return dg.Failure(
        str(error),
        metadata={
            "kind": error.kind,
            "message": error.message,
            "location": error.location,
            "remedy": error.remedy,
            "then": f"materialize {subject} again",
        },
        allow_retries=retry and not isinstance(error, PermanentError),
    )


def _machine_failure(error: OSError, subject: str) -> TaxiError:
    """Return the failure of a disk; one that is full may have room again, a right that is missing stays missing."""
    lasting = isinstance(error, PermissionError) or error.errno == errno.EROFS
    return (MachineError if lasting else TransientError)(
        f"the operating system refused: {error}",
        location=subject,
        remedy="make sure that the disk has room and that this user may read and write in TAXI_DATA_DIR",
    )
