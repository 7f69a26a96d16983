"""The three ways in which a month can fail, and what follows from each.

Here belongs the sorting of failures, in one place:

| class | in the step | in Dagster | who asks again |
|---|---|---|---|
| `NotPublishedError` | the month is skipped, with a note | the run succeeds | schedules, sensors |
| `PermanentError` | the month fails, the others land | the run fails, no retry, an alert | a person; or the sensor |
| `TransientError` | tried again, and then the same | the same | the daily schedule |

How a month is tried again stands in `taxi_assets.retries`. The publication sensor asks for a month that failed
for good when the source has another file in its place.

A crash (no class: the process is gone) is what Dagster's own run retries are for; see dagster.yaml.
"""

from __future__ import annotations


class TaxiError(Exception):
    """Something went wrong that a person has to understand: what, where, and what to do.

    Attributes:
        what: What was wrong, in one sentence.
        where: Dataset, month and file, URL or setting it concerns; never a secret.
        fix: What to do about it.
        kind: The class in a word, as the month's note in Dagster has it.
    """

    kind = "permanent"

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        """Keep the three parts; `str()` gives them on up to three lines."""
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        """Return the parts that are there, a line each."""
        lines = [self.what, self.where and f"where: {self.where}", self.fix and f"what to do: {self.fix}"]
        return "\n".join(line for line in lines if line)

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild with keywords, so that the error survives a process boundary."""
        return _rebuild, (type(self), self.what, self.where, self.fix)


def _rebuild(kind: type[TaxiError], what: str, where: str, fix: str) -> TaxiError:
    return kind(what, where=where, fix=fix)


class NotPublishedError(TaxiError):
    """The source has no such month yet: skip it, say so, ask again later."""

    kind = "not_published"


class PermanentError(TaxiError):
    """Gone, forbidden, damaged, or not a trip file: trying again gives the same answer."""


class TransientError(TaxiError):
    """A busy or broken link: trying again later may succeed.

    Attributes:
        retry_after: Seconds the other side asked us to wait, 0 if it did not say.
    """

    kind = "transient"
    retry_after: float = 0.0
