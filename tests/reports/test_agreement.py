"""Agreement of two measurements: limits, the intraclass correlation against its source, what is called poor, and the page."""

import numpy as np
import pytest

from experiments.agreement import HEADER, Agreement, Comparison, intraclass_correlation, table, write_page


def made(values, others, **changed) -> Agreement:
    options = {"name": "cadence", "unit": "steps/min", "of": 10, "people": 7, **changed}
    return Agreement(values=np.array(values, dtype=float), others=np.array(others, dtype=float), **options)


def test_the_intraclass_correlation_is_that_of_its_source():
    """Six targets and four judges of Shrout and Fleiss (1979, table 2) give 0.29."""
    judged = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert intraclass_correlation(np.array(judged, dtype=float)) == pytest.approx(0.29, abs=0.005)


def test_limits_of_agreement_hold_95_percent():
    """Differences of N(2, 3) have a bias of 2 and limits 5.88 to either side, which hold 95 % of them."""
    rng = np.random.default_rng(0)
    true = rng.normal(100, 15, 20000)
    found = made(true + rng.normal(2, 3, 20000), true)
    low, high = found.limits
    assert found.bias == pytest.approx(2, abs=0.1)
    assert (low, high) == pytest.approx((2 - 5.88, 2 + 5.88), abs=0.15)
    inside = (found.values - true > low) & (found.values - true < high)
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("values", "others", "changed", "poor"),
    [
        ([90, 100, 110, 120, 130], [91, 99, 111, 121, 128], {}, False),
        ([90, 100, 110, 120, 130], [60, 70, 80, 90, 100], {}, True),  # in step, and 30 too high
        ([9, 10, 11, 12, 13], [90, 100, 110, 120, 130], {"same_unit": False}, False),
        ([90, 100, 110, 120, 130], [121, 99, 111, 91, 105], {}, True),
        ([90, 100, 110, 120], [90, 100, 110, 120], {}, True),
    ],
    ids=["agrees", "biased", "another unit", "unrelated", "too few"],
)
def test_what_is_called_poor(values, others, changed, poor):
    """A bias counts against a parameter as noise does; across units the correlation decides; few pairs prove nothing."""
    found = made(values, others, **changed)
    assert found.poor == poor
    assert len(found.cells()) == len(HEADER)


def test_table_and_page_hold_the_same_numbers(tmp_path):
    """The page opens offline, has one plot for each parameter that has enough pairs of one unit, and no markup of names."""
    good = made([90, 100, 110, 120, 130], [91, 99, 111, 121, 128])
    few = made([1.0], [1.0], name="<b>length</b>")
    comparison = Comparison(title="Captured", note="A pair.", found=[good, few])
    write_page(tmp_path / "page.html", [comparison])
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 1
    assert "<b>length" not in page
    assert "http" not in page.split("</style>")[1].replace("http://www.w3.org", "")
    for cell in good.cells():
        assert cell in page
        assert cell in table(comparison)
