from __future__ import annotations

import pytest
import tickets

KEY = b"0123456789"


def test_a_word_is_good_for_its_purpose_and_its_time() -> None:
    word = tickets.write(KEY, "ticket", 1000.5, 60)
    assert tickets.good_until(KEY, "ticket", word, 1059) == 1060
    assert tickets.good_until(KEY, "ticket", word, 1060) == 0
    assert tickets.good_until(KEY, "cookie", word, 1059) == 0
    assert tickets.good_until(b"another key", "ticket", word, 1059) == 0
    assert word != tickets.write(KEY, "ticket", 1000.5, 60)


@pytest.mark.parametrize(
    "forged",
    ["", ".", "..", "9999999999.aa.bb", "x.y.z", "9999999999", "ä.ö.ü"],
)
def test_a_forged_word_is_none(forged: str) -> None:
    assert tickets.good_until(KEY, "ticket", forged, 1000) == 0


def test_a_word_cannot_be_made_to_last() -> None:
    until, rest = tickets.write(KEY, "ticket", 1000, 60).split(".", 1)
    assert tickets.good_until(KEY, "ticket", f"{int(until) + 1}.{rest}", 1000) == 0
