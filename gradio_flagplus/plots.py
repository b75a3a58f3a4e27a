"""What the review page draws: data frames for Gradio's own plots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_MOST_BARS = 15
_MOST_STEPS = 400
_STEPS = ["1min", "10min", "1h", "6h", "1D", "7D", "30D", "360D"]


def by_reason(counts: dict[str, int]) -> pd.DataFrame:
    """The reasons with the most flags, `reason` and `flags`; the rest in one last row."""
    shown = list(counts.items())
    if len(shown) > _MOST_BARS:
        rest = shown[_MOST_BARS - 1 :]
        shown = [*shown[: _MOST_BARS - 1], (f"{len(rest)} others", sum(count for _, count in rest))]
    return _frame(reason=[reason for reason, _ in shown], flags=[count for _, count in shown])


def over_time(moments: np.ndarray[Any, np.dtype[Any]]) -> pd.DataFrame:
    """How many flags came in each step of time, `time` and `flags`, with the steps in which there were none.

    A step is as short as the whole stretch of time allows; there is an empty one before and after. Empty without times.
    """
    if not len(moments):
        return _frame(time=np.empty(0, "datetime64[ns]"), flags=np.empty(0, np.int64))
    times = pd.DatetimeIndex(moments)
    stretch = times.max() - times.min()
    step = pd.Timedelta(next((step for step in _STEPS if stretch / pd.Timedelta(step) <= _MOST_STEPS), _STEPS[-1]))
    counts = pd.Series(1, index=times.floor(step)).groupby(level=0).sum()
    steps = pd.date_range(counts.index[0] - step, counts.index[-1] + step, freq=step)
    return _frame(time=steps, flags=counts.reindex(steps, fill_value=0).to_numpy())


def _frame(**columns: Any) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame
