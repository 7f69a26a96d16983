"""A table's columns against the contract's: what makes a table unusable, and what is only unknown."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def differences(have: Mapping[str, str], required: Collection[str], want: Mapping[str, str]) -> list[str]:
    """Return why months cannot be loaded into a table; columns that the table lacks are not a reason.

    `have` and `want` are the types of the table's and the contract's columns; `required` are the table's that may not
    be NULL.
    """
    return [
        f"{name} is {kind}, not {want[name]}"
        if name in want
        else f"{name} is {kind}, not in the contract, and NOT NULL"
        for name, kind in have.items()
        if (want[name] != kind if name in want else name in required)
    ]


def unknown(have: Collection[str], want: Collection[str]) -> tuple[str, ...]:
    """Return the table's columns that the contract does not have: its owner's, or a later release's."""
    return tuple(name for name in have if name not in want)
