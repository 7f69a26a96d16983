"""Codes: what they mean today, and the texts that older files and other editions use for them.

Sources: TLC's data dictionaries for yellow and green trips (March 18, 2025) for the labels; the values found in TLC's
files of 2009-2014 for the texts.
"""

from collections.abc import Mapping


def _words(labels: Mapping[int, str]) -> Mapping[str, int | str]:
    """Return a code's own labels as texts that stand for it."""
    return {label.lower(): code for code, label in labels.items()}


VENDORS: Mapping[int, str] = {
    1: "Creative Mobile Technologies, LLC",
    2: "Curb Mobility, LLC (formerly VeriFone)",
    3: "Digital Dispatch Systems (2009-2010; this project's number, TLC has none)",
    6: "Myle Technologies Inc",
    7: "Helix",
}
"""TLC's vendors. Files also hold 4 and 5, which no dictionary explains."""

VENDOR_CODES: Mapping[str, int | str] = {"cmt": 1, "vts": 2, "dds": 3}
"""Vendors as 2009-2014 spelled them: VTS is VeriFone Transportation Systems, today's 2."""

PAYMENTS: Mapping[int, str] = {
    0: "Flex Fare trip",
    1: "Credit card",
    2: "Cash",
    3: "No charge",
    4: "Dispute",
    5: "Unknown",
    6: "Voided trip",
}

PAYMENT_CODES: Mapping[str, int | str] = {
    **dict.fromkeys(("crd", "credit", "cre"), 1),
    **dict.fromkeys(("csh", "cash", "cas"), 2),
    **dict.fromkeys(("noc", "no charge", "no"), 3),
    **dict.fromkeys(("dis", "dispute"), 4),
    **dict.fromkeys(("unk", "unknown", "na", "n/a"), 5),
    **_words(PAYMENTS),
    "flex fare": 0,
    "voided": 6,
}
"""Payment types as 2009-2014 spelled them (CASH, Cash, CSH, Credit, CRD, No Charge, NOC, Dispute, DIS, UNK, ...), and
today's labels. NA is a payment type of 2010, not a missing value."""

RATES: Mapping[int, str] = {
    1: "Standard rate",
    2: "JFK",
    3: "Newark",
    4: "Nassau or Westchester",
    5: "Negotiated fare",
    6: "Group ride",
    99: "Null or unknown",
}
RATE_CODES = _words(RATES)

TRIP_TYPES: Mapping[int, str] = {1: "Street-hail", 2: "Dispatch"}
TRIP_TYPE_CODES = _words(TRIP_TYPES)

FLAG_CODES: Mapping[str, int | str] = {
    **dict.fromkeys(("0", "0.0", "n", "no", "false", "f"), "N"),
    **dict.fromkeys(("1", "1.0", "y", "yes", "true", "t"), "Y"),
}
"""Flags as today's Y and N: TLC wrote them as numbers in 2009 and 2010, other editions as booleans."""

SHARED_CODES: Mapping[str, int | str] = {
    **dict.fromkeys(("n", "no", "false", "f"), 0),
    **dict.fromkeys(("y", "yes", "true", "t"), 1),
}
"""TLC's SR_Flag is 1 or empty; the public mirror writes Y and N, and N is kept as 0."""

LICENSES = "HV0002 Juno, HV0003 Uber, HV0004 Via, HV0005 Lyft"
