"""The tutorial's two cleaning rules, as settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CleaningRules:
    """What cleaning changes beyond types and names.

    Attributes:
        missing_passengers: `zero` fills missing passenger counts with 0, as the tutorial's flow to Google Cloud does;
            `keep` leaves them NULL.
        drop_zero_passengers: Leave out trips with zero passengers, filled ones too, as the tutorial does on the way to
            Postgres.
    """

    missing_passengers: Literal["zero", "keep"] = "zero"
    drop_zero_passengers: bool = False
