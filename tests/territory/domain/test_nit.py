from __future__ import annotations

import pytest

from amb247.territory.domain.nit import check_digit, normalised_nit
from amb247.territory.errors import TerritoryError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "digit"),
    # published numbers: Bucaramanga, Floridablanca, Ecopetrol, Bancolombia, DIAN
    [("890201222", 0), ("890205176", 8), ("899999068", 1), ("890903938", 8), ("800197268", 4)],
)
def test_the_check_digit_of_published_numbers(number, digit):
    assert check_digit(number) == digit


def test_a_nit_is_normalised():
    assert normalised_nit("890.201.222 - 0") == "890201222-0"
    assert normalised_nit("890201222") == "890201222-0"


@pytest.mark.parametrize("text", ["", "123", "890201222-1", "890201222-00", "abc", "8" * 16, "-890201222"])
def test_a_wrong_nit_is_refused(text):
    with pytest.raises(TerritoryError):
        normalised_nit(text)
