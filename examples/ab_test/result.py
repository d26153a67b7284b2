"""From the stored events to the result: who saw what, who came back, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from scipy import stats

from penstock.collector import open_store

if TYPE_CHECKING:
    from pathlib import Path

FLAG, ORDER = "reminder", "Order Completed"
#: One row per customer who was exposed: the variant, and what they ordered afterwards.
_QUERY = f"""
WITH exposed AS (
    SELECT user_id, max(json_extract_string(properties, '$.$feature_flag_response')) AS variant,
           count(*) AS times
    FROM events WHERE event = '$feature_flag_called'
      AND json_extract_string(properties, '$.$feature_flag') = '{FLAG}'
    GROUP BY user_id
), ordered AS (
    SELECT user_id, count(*) AS orders,
           sum(CAST(json_extract_string(properties, '$.revenue') AS DECIMAL(12, 2))) AS revenue,
           count(DISTINCT json_extract_string(properties, '$."$feature/{FLAG}"')) AS variants,
           max(json_extract_string(properties, '$."$feature/{FLAG}"')) AS variant
    FROM events WHERE event = '{ORDER}' GROUP BY user_id
)
SELECT exposed.user_id, exposed.variant, exposed.times, coalesce(ordered.orders, 0) AS orders,
       CAST(coalesce(ordered.revenue, 0) AS DOUBLE) AS revenue,
       coalesce(ordered.variants, 1) = 1 AND coalesce(ordered.variant, exposed.variant)
           = exposed.variant AS consistent
FROM exposed LEFT JOIN ordered USING (user_id)
"""


class Arm(NamedTuple):
    """The customers of one variant."""

    name: str
    #: 1 who came back, 0 who did not.
    converted: list[int]
    #: Dollars each spent after the first order.
    revenue: list[float]


class Interval(NamedTuple):
    """A difference, and where it lies with 95 % confidence."""

    difference: float
    low: float
    high: float
    p: float

    @property
    def sure(self) -> bool:
        """Whether it is unlikely to be chance."""
        return not self.low <= 0 <= self.high


class MixedError(Exception):
    """A customer was seen in two variants, or exposed twice."""


def arms(store: Path) -> dict[str, Arm]:
    """
    The customers by variant, read from the collector's store.

    Raises:
        MixedError: Assignment did not hold.
    """
    found: dict[str, Arm] = defaultdict(lambda: Arm("", [], []))
    for row in open_store(store).arrow(_QUERY).to_pylist():
        if row["times"] != 1 or not row["consistent"]:
            raise MixedError(row["user_id"])
        arm = found[row["variant"]]
        arm.converted.append(int(row["orders"] > 0))
        arm.revenue.append(row["revenue"])
    return {name: arm._replace(name=name) for name, arm in sorted(found.items())}


def compared(test: list[float] | list[int], control: list[float] | list[int]) -> Interval:
    """Welch's interval for the difference of two means; a rate is a mean of ones and noughts."""
    answer = stats.ttest_ind(test, control, equal_var=False)
    low, high = answer.confidence_interval(0.95)
    return Interval(mean(test) - mean(control), low, high, answer.pvalue)


def mean(values: list[float] | list[int]) -> float:
    """Of at least one value."""
    return sum(values) / len(values)
