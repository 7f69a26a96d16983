"""The tutorial's two cleaning rules. By default neither applies: values are TLC's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CleaningRules:
    """What cleaning changes beyond types and names.

    Attributes:
        missing_passengers: `keep` leaves missing passenger counts NULL; `zero` fills them with 0, as the tutorial's
            flow to Google Cloud does.
        drop_zero_passengers: Drop trips with zero passengers, filled ones too, as the tutorial does on the way to
            Postgres.
    """

    missing_passengers: Literal["zero", "keep"] = "keep"
    drop_zero_passengers: bool = False
