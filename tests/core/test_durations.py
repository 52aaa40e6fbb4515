import math

import pytest

from darts.core.durations import duration_text
from darts.core.html import NOTHING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (4000, "1 h 6 min"), (200_000, "2 d 7 h"), (math.nan, NOTHING)],
)
def test_durations_are_in_words(seconds, text):
    assert duration_text(seconds) == text
