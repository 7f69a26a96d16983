"""The three ways a month can fail, and what follows from each.

| class | in Dagster | who tries again |
|---|---|---|
| `NotPublishedError` | the month is skipped with a note; the run succeeds | schedules and sensors |
| `PermanentError` | the step fails without a retry; an alert | a person, or the sensor once the file changes |
| `TransientError` | the step is retried, then fails | the daily schedule |

A crash has no class: the process is gone, and Dagster's run retries start the run again (see dagster.yaml).
"""

from __future__ import annotations


class TaxiError(Exception):
    """An error that a person has to understand: what happened, where, and what to do.

    Attributes:
        message: What went wrong, in one sentence.
        location: Dataset, month and file, URL or setting; never a secret.
        remedy: What to do about it.
        kind: The class in one word, as Dagster's observations carry it.
        default_remedy: What to do where an error of the class does not say.
    """

    kind = "permanent"
    default_remedy = ""

    def __init__(self, message: str, *, location: str = "", remedy: str = "") -> None:
        """Keep the three parts; `str()` returns them on up to three lines."""
        remedy = remedy or self.default_remedy
        super().__init__(message, location, remedy)
        self.message, self.location, self.remedy = message, location, remedy

    def __str__(self) -> str:
        """Return the parts that are set, one per line."""
        lines = [
            self.message,
            self.location and f"where: {self.location}",
            self.remedy and f"what to do: {self.remedy}",
        ]
        return "\n".join(line for line in lines if line)

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild with keywords, so that the error survives a process boundary."""
        return _rebuild, (type(self), self.message, self.location, self.remedy)


def _rebuild(kind: type[TaxiError], message: str, location: str, remedy: str) -> TaxiError:
    return kind(message, location=location, remedy=remedy)


class NotPublishedError(TaxiError):
    """The source does not have the month yet: skip it, say so, ask again later."""

    kind = "not_published"


class PermanentError(TaxiError):
    """Gone, forbidden, damaged, or not a trip file: trying again gives the same answer."""


class MachineError(PermanentError):
    """This machine refuses: a right is missing, or a disk is read-only. The month's file is not at fault."""

    kind = "machine"


class QueryError(PermanentError):
    """A query that the warehouse refuses: its author has to change it."""


class TransientError(TaxiError):
    """A busy source or broken connection: trying again later may succeed.

    Attributes:
        retry_after: Seconds the server asked us to wait, 0 if it did not say.
        waits: Seconds to wait before each retry, where the retry policy's own waits would be too short.
    """

    kind = "transient"
    retry_after: float = 0.0
    waits: tuple[float, ...] = ()

    def wait_before(self, retry: int) -> float:
        """Return the seconds to wait at least before a retry, counted from 1; 0 leaves it to the retry policy."""
        longer = self.waits[min(retry, len(self.waits)) - 1] if self.waits else 0.0
        return max(self.retry_after, longer)
