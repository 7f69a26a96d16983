"""How a person may write months."""

from __future__ import annotations

import pytest

from taxi_assets.months import parse_months


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("2021-01", ["2021-01"]),
        ("2021-01-01", ["2021-01"]),
        ("2020-11..2021-02", ["2020-11", "2020-12", "2021-01", "2021-02"]),
        ("2021-02, 2021-01,2021-02", ["2021-01", "2021-02"]),
        ("2021", [f"2021-{month:02}" for month in range(1, 13)]),
    ],
)
def test_a_month_a_range_a_year_and_several_are_read_in_order_and_once(text: str, months: list[str]) -> None:
    assert [str(month) for month in parse_months(text)] == months


@pytest.mark.parametrize(
    "text", ["", "2021-13", "2021-1", "21-01", "2021-01..", "..2021-01", "2021-02..2021-01", "2021-01-02", "January"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a month|ends before it begins"):
        parse_months(text)
