"""Lists on a narrow terminal: a block of lines for each row, in which no word is broken."""

import pytest

from cli import text

ROWS = [["cache", "images", "what it holds"], ["kd/caches/one", "20,000", "logits of a small teacher, for every image"]]


@pytest.fixture
def terminal(monkeypatch):
    def of(columns: int | None) -> None:
        monkeypatch.setattr(text, "_terminal_width", lambda: columns)

    return of


@pytest.mark.parametrize("columns", [None, 120, 66])
def test_what_fits_is_a_table_and_so_is_what_goes_to_a_file(terminal, columns):
    terminal(columns)
    assert text.listing(ROWS, right=(1,)) == text.columns(ROWS, right=(1,))


def test_what_does_not_fit_is_a_block_a_row(terminal):
    terminal(40)
    assert text.listing([*ROWS, ["kd/caches/two", "5", ""]]) == (
        "cache          kd/caches/one\n"
        "images         20,000\n"
        "what it holds  logits of a small\n"
        "               teacher, for every image\n"
        "\n"
        "cache          kd/caches/two\n"
        "images         5\n"
        "what it holds"
    )


def test_a_word_that_is_longer_than_the_terminal_stays_whole(terminal):
    terminal(30)
    long = "kd/caches/" + "x" * 60
    assert long in text.listing([["cache"], [long]])
