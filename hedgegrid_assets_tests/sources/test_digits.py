"""Short decimals are read by words of eight bytes as they are read one by one; what is not plain is never taken."""

import random
import re
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgegrid_assets.sources.formats.decimals import exact_decimal, exact_decimals, most_decimals, usual
from hedgegrid_assets.sources.formats.digits import short_decimals

_ODD = "0123456789..-+eE ,_\0/:;é"
_TEXTS = st.one_of(
    st.text(alphabet="0123456789.-", max_size=15),
    st.text(alphabet=_ODD, max_size=15).filter(lambda text: len(text.encode()) <= 15),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-9999999, max_value=9999999).map(str),
)


def hold(texts: list[str], decimals: int = 16) -> int:
    """Each text that is taken is plain, and its decimal; gives how many are."""
    found = short_decimals(pl.Series(texts, dtype=pl.String), decimals)
    if found is None:
        assert (
            any(len(text.encode()) > 15 or re.search(rf"\.\d{{{decimals + 1}}}", text) for text in texts) or not texts
        )
        return 0
    taken = [text for text, plain in zip(texts, found.plain, strict=True) if plain]
    assert all(re.fullmatch(usual(decimals)[1:-1], text, re.ASCII) for text in taken)
    assert found.values.filter(found.plain).to_list() == [Decimal(text) for text in taken]
    assert found.values.filter(~found.plain).null_count() == len(texts) - len(taken)
    assert found.seen == (most_decimals(pl.Series(taken)) if taken else None)
    return len(taken)


@settings(deadline=None)
@given(st.lists(_TEXTS, min_size=1, max_size=8))
def test_what_is_taken_is_plain_and_exact(texts: list[str]) -> None:
    hold(texts)


def test_usual_numbers_are_all_taken() -> None:
    texts = ["0", "-0", "1", "42522.1", "0.001", "-0.0001", "123456789012", "12345678.123", "00012.50", "0.1000"]
    assert hold(texts) == len(texts)
    longer = ["42499.12345678", "1234567.1234567", "-0.123456789012", "0.0000000000001"]
    assert [hold([text]) for text in longer] == [1] * len(longer)
    assert hold([*texts[:6], "42499.12345678", "-1234.12345678", "-0.10"]) == 9


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "-", "5.", ".5", "-.5", "1.-5", "+5", "1e5", "1.2.3", "1..2", " 1", "1 ", "1,5", "0x1", "1\0"),
        *(
            "\0" * 12,
            "\0" * 15,
            "12345678901234.",
            ".12345678901234",
            "1234567.1234.12",
            "-12345678.1234-",
            "--1",
            "1-",
            "12345678.9.1",
            ".12345678901",
            "12345678901.",
            "١٢",
            "1_0",
            "nan",
        ),
    ],
)
def test_no_other_spelling_is_taken(text: str) -> None:
    assert hold([text]) == 0
    assert hold(["1.5", text, "-2"]) == 2


def test_a_number_that_leaves_no_room_for_the_digits_of_its_field_is_not_taken() -> None:
    assert hold(["1234567890", "0.25"], 28) == 2
    assert hold(["12345678901", "0.25", "00000000001"], 28) == 1


def test_longer_texts_and_finer_ones_are_left_to_others() -> None:
    assert short_decimals(pl.Series(["1", "1234567890.12345"]), 16) is None
    assert short_decimals(pl.Series(["0.12345"]), 4) is None
    assert short_decimals(pl.Series(["1", None]), 16) is None


def test_numbers_of_all_sizes_in_one_column_leave_out_what_64_bits_cannot_hold() -> None:
    assert hold(["123456789012", "0.1234567890"]) == 1
    assert hold(["123456789012345", "0.1234"]) == 1


@pytest.mark.parametrize("long", ["123456789", "-12345678.9", "0.1234567890"])
def test_a_long_number_among_many_short_ones_is_taken_with_them(long: str) -> None:
    assert hold(["1.5", "-2", "0.001"] * 20 + [long] + ["", "7"]) == 62
    assert hold(["1.5", "-2", "0.001"] * 20 + [long[:-1] + "."]) == 60


def mutated(seed: int, count: int, longest: int) -> list[str]:
    """Numbers, of which four in ten have one or two characters changed, inserted or taken out."""
    chance = random.Random(seed)
    texts: list[str] = []
    while len(texts) < count:
        whole = str(chance.randrange(10 ** chance.randrange(1, 9)))
        behind = "." + str(chance.randrange(10 ** chance.randrange(1, 6))).zfill(chance.randrange(1, 6))
        characters = [*chance.choice(["", "", "-"]), *whole, *chance.choice(["", behind])]
        for _ in range(chance.choice([0, 0, 0, 1, 2])):
            place = chance.randrange(len(characters) + 1)
            characters[place : place + chance.randrange(2)] = chance.choice(["", *_ODD])
        text = "".join(characters)
        texts += [text] if len(text.encode()) <= longest else []
    return texts


@pytest.mark.parametrize("longest", [8, 12, 15])
def test_mutated_numbers_are_taken_only_where_they_are_numbers_still(longest: int) -> None:
    assert hold(mutated(7, 20_000, longest)) > 12_000


@settings(deadline=None)
@given(
    st.lists(st.one_of(_TEXTS, st.text(alphabet="019.+-e \n", max_size=6)), max_size=4), st.sampled_from([8, 16, 30])
)
def test_texts_that_are_read_together_are_read_as_each_alone(texts: list[str], decimals: int) -> None:
    assert exact_decimals(texts, decimals) == [exact_decimal(text, decimals) for text in texts]
