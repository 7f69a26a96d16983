"""How a person may write months."""

from __future__ import annotations

import pytest

from taxi_assets.months import format_months, parse_months


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("2021-01", ["2021-01"]),
        ("2021-01-01", ["2021-01"]),
        ("2020-11..2021-02", ["2020-11", "2020-12", "2021-01", "2021-02"]),
        ("2021-02, 2021-01,2021-02", ["2021-01", "2021-02"]),
        ("2020..2021-02", [*(f"2020-{month:02}" for month in range(1, 13)), "2021-01", "2021-02"]),
        ("2020-11..2020", ["2020-11", "2020-12"]),
        ("2021", [f"2021-{month:02}" for month in range(1, 13)]),
    ],
)
def test_a_month_a_range_a_year_and_several_are_read_in_order_and_once(text: str, months: list[str]) -> None:
    assert [str(month) for month in parse_months(text)] == months


def test_months_are_written_as_they_are_read() -> None:
    text = "2020-11..2021-02,2021-04,2021-06..2021-07"
    assert format_months(reversed(parse_months(text))) == text


@pytest.mark.parametrize(
    "text", ["", "2021-13", "2021-1", "21-01", "2021-01..", "..2021-01", "2021-02..2021-01", "2021-01-02", "January"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a month|ends before it begins"):
        parse_months(text)
