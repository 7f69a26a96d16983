"""Validators: how a changed file is told from an unchanged one by `ETag`, `Last-Modified` and size."""

from __future__ import annotations

import dataclasses
import hashlib
import logging

from taxi_assets.records import RawFile
from taxi_assets.source.addresses import is_local

MAX_REFETCHES = 3
"""Downloads of the same bytes under new validators before one of these is ignored."""

_LOG = logging.getLogger(__name__)


def version_of(validator: str, size: int) -> str:
    """Return a short version of a file from its validator and size; a weak ETag equals the strong one."""
    return hashlib.sha256(f"{validator.removeprefix('W/')} {size}".encode()).hexdigest()[:8]


def carry_over(before: RawFile, record: RawFile) -> RawFile:
    """Return a record of the same bytes with what its predecessor knows: earlier rows, validators not to trust.

    The same bytes under new validators are no news, and the new ones are kept. But some sources send another ETag from
    each server, or with each answer: after `MAX_REFETCHES` of the same bytes the ETag is no longer kept, and after
    twice as many neither is `Last-Modified`, so that probes compare what is left: the size, at least.
    """
    refetches = before.refetches
    if before.source_url == record.source_url and not is_local(record.source_url):
        refetches += _trusted(record, refetches) != (before.etag, before.last_modified)
    if refetches > before.refetches and refetches in (MAX_REFETCHES, 2 * MAX_REFETCHES):
        dropped = "ETag" if refetches == MAX_REFETCHES else "Last-Modified"
        _LOG.warning(
            "%s %s was downloaded %d times with the same bytes, because %s sends changing validators; from now on its "
            "%s is ignored",
            record.dataset,
            record.month,
            refetches + 1,
            record.source_url,
            dropped,
        )
    etag, last_modified = _trusted(record, refetches)
    return dataclasses.replace(
        record,
        etag=etag,
        last_modified=last_modified,
        most_rows=before.most_rows,
        refetches=refetches,
    )


def _trusted(record: RawFile, refetches: int) -> tuple[str, str]:
    """Return the ETag and Last-Modified to keep."""
    return (
        record.etag if refetches < MAX_REFETCHES else "",
        record.last_modified if refetches < 2 * MAX_REFETCHES else "",
    )
