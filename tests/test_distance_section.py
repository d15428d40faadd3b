"""The section on distances says what the figures say, in words, numbers and drawing."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from flawsmith.evaluate.comparison import Comparison, Distances, Figure, Pair, View
from flawsmith.evaluate.distance_plot import plot
from flawsmith.evaluate.distance_section import (
    PAIRS_SHOWN,
    closest_pairs,
    distance_section,
    explanations,
    verdicts,
    write,
)
from flawsmith.sample import Sample
from tests.report_helpers import EVIL, Page, draw, render

# Beyond: KID by 4.1, recall; within: the Frechet distance, near copies.
FIGURES = (
    Figure("KID", 0.0041, 0.0021, 0.0066, 0.0010, "low", 0.0040),
    Figure("FD (lite0)", 171.2, 144.0, 201.0, 190.0, "low", 97.0),
    Figure("recall", 0.42, 0.31, 0.55, 0.77, "high"),
    Figure("near copies", 0.02, 0.0, 0.05, 0.07, "low"),
)
BOX = (4, 8, 32, 24)


def comparison(
    scope: str = "(all)", view: View = "crop", figures: tuple[Figure, ...] = FIGURES
) -> Comparison:
    return Comparison(view, scope, 1240, 31, 80, 40, figures)


def refusal(scope: str = "(all)", view: View = "crop") -> Comparison:
    return Comparison(view, scope, 9, 1, 80, refused="9 real samples, and 10 are needed")


def section(
    comparisons: Sequence[Comparison], method: str = "paste", features: str = "lite0"
) -> tuple[str, Page]:
    distances = Distances(features, "to 224x224", 3, tuple(comparisons))
    return render([distance_section(method, distances, Drawn(), Drawn(), None)])


class Drawn:
    """A stand-in for a data set that has any id."""

    @property
    def ids(self) -> "Drawn":
        return self

    def index(self, name: str) -> str:
        return name

    def __getitem__(self, name: str) -> Sample:
        return draw(name, {0}, seed=len(name))


def pair(made: str, real: str, distance: float) -> Pair:
    return Pair(made, real, distance, BOX, BOX)


def words(comparisons: Sequence[Comparison]) -> str:
    return " ".join(verdicts(comparisons))


def test_the_verdict_names_what_lies_beyond_and_by_how_much() -> None:
    assert words([comparison()]) == (
        "All classes are as close to the real ones as real ones are to each other in 2 of 4 "
        "figures (n = 40 a side). Farther: KID (4.1 times the floor). "
        "Less varied: recall (0.420, floor 0.770)."
    )
    within = tuple(figure for figure in FIGURES if figure.inside)
    assert "in all 2 figures (n = 40 a side)." in words([comparison(figures=within)])
    beyond = tuple(figure for figure in FIGURES if not figure.inside)
    assert "in none of 2 figures" in words([comparison(figures=beyond)])


@pytest.mark.parametrize(
    ("value", "floor", "text"),
    [
        # No ratio to a floor of zero or less, as unbiased figures have.
        (0.002, -0.001, "KID (0.00200, floor -0.00100)"),
        (0.002, 0.0, "KID (0.00200, floor 0.00000)"),
        (0.00103, 0.001, "KID (just above the floor)"),
        (2.5, 0.001, "KID (2,500.0 times the floor)"),
    ],
)
def test_a_ratio_is_told_only_where_there_is_one(value: float, floor: float, text: str) -> None:
    figure = Figure("KID", value, 0.0, 0.002, floor, "low")
    assert f"Farther: {text}." in words([comparison(figures=(figure,))])


def test_copies_and_refusals_have_words_of_their_own() -> None:
    copies = Figure("near copies", 0.3, 0.2, 0.4, 0.1, "low")
    text = words([comparison(figures=(copies,))])
    assert text.startswith(
        "All classes are suspect: 30% of them are near copies of real ones (floor 10%). They are as"
    )
    texts = verdicts(
        [refusal("(good)", "image"), comparison("(defective)", "image"), refusal("Pit", "image")]
    )
    assert texts[0] == "Clean images are not compared: 9 real samples, and 10 are needed."
    assert texts[1].startswith("Defective images are as close")
    assert texts[2] == "Figures within the floor, by class: “Pit” not compared."
    assert words([comparison("Crack")]).endswith("by class: “Crack” 2 of 4.")


def test_numbers_of_one_figure_share_their_decimals() -> None:
    assert write(Figure("KID", 0.00123, -0.0002, 0.00261, 0.0005, "low")).low == "-0.00020"
    large = write(Figure("FD (lite0)", 1712.3, 98.0, 2001.0, 5.5, "low", 1000.0))
    assert (large.value, large.low, large.floor, large.full) == ("1,712", "98", "6", "1,000")
    empty = write(Figure("KID", math.nan, 0, math.inf, 0, "low"))
    assert (empty.value, empty.low, empty.high, empty.full) == ("–", "0", "–", "–")


def test_the_tables_hold_every_scope_with_its_numbers() -> None:
    _, page = section([comparison(), comparison("Crack"), refusal("Pit")])
    assert page.text.count("n = 40 a side, of 1,240 real from 31 parts and 80 made") == 2
    assert "Not compared: 9 real samples, and 10 are needed" in page.text
    assert "9 real from 1 part and 80 made" in page.text
    row = "KID 0.00410 0.00210 to 0.00660 0.00100 less beyond 0.00400"
    assert page.text.count(row) == 2
    assert "near copies 0.0200 0.0000 to 0.0500 0.0700 less within –" in page.text
    assert page.open == []
    full = tuple(replace(figure, full=None) for figure in FIGURES)
    assert "Over all samples" in page.text
    assert "ver all samples" not in section([comparison(figures=full)])[1].text


def test_a_frechet_distance_is_called_as_the_data_call_it() -> None:
    assert "FID" not in section([comparison()])[0]
    genuine = replace(FIGURES[1], name="FID")
    page = section([comparison(figures=(genuine,))], features="inception")[0]
    assert "FD (" not in page
    assert "FID" in page


def test_every_figure_that_occurs_is_explained_and_no_other() -> None:
    found = explanations([comparison(), comparison("Crack")])
    assert [name for name, _, _ in found] == [figure.name for figure in FIGURES]
    assert "Biased upward" in found[1][2]
    assert "slightly negative" in found[0][2]


def test_pairs_are_the_closest_of_the_view_and_each_made_one_once() -> None:
    crops = tuple(pair(f"m{i}", f"r{i}", 9.0 - i) for i in range(6))
    comparisons = [
        replace(comparison(), closest=crops),
        replace(comparison("Crack"), closest=(crops[5], pair("m5", "other", 5.0))),
    ]
    chosen = closest_pairs(comparisons)
    assert [p.made for p in chosen] == ["m5", "m4", "m3", "m2"]
    _, page = section(comparisons)
    images = page.all("img")
    assert len(images) == 2 * PAIRS_SHOWN
    assert images[0]["alt"] == "made sample m5"
    assert images[1]["alt"] == "real sample r5"
    # Cut to the box: 32 by 24.
    assert all((image["width"], image["height"]) == ("288", "216") for image in images)
    assert "m5 (made) · r5 (real) · distance 4 " in page.text


def test_a_box_outside_of_its_image_is_no_picture() -> None:
    astray = replace(pair("m", "r", 1.0), made_box=(64, 0, 5, 5))
    with pytest.raises(ValueError, match="outside of an image"):
        section([replace(comparison(), closest=(astray,))])


def test_names_are_escaped_in_words_tables_pairs_and_drawing() -> None:
    evil = replace(comparison(EVIL), closest=(pair(EVIL, EVIL, 1.0),))
    text, page = section([comparison(), evil, refusal(EVIL + "2")], method=EVIL)
    assert "<script" not in text
    assert not page.all("b")
    assert all(not key.startswith("on") for _, found in page.tags for key in found)
    # In the verdict, the table, the drawing (its beginning), the heading, and of the pair.
    assert page.text.count("alert") >= 8


def test_the_drawing_is_part_of_the_page() -> None:
    both = [comparison(), comparison("(defective)", "image")]
    text, page = section(both, method="$paste$")
    assert len(page.all("svg")) == 2
    assert not {"script", "image", "metadata", "style"} & {
        tag for tag, _ in page.tags[page.tags.index(("main", {})) :]
    }
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))
    named = [found[key] or "" for _, found in page.tags for key in ("xlink:href",) if key in found]
    assert named
    assert {name.removeprefix("#") for name in named} <= set(ids)
    paths = re.findall(r"url\(#([^)]+)\)", text)
    assert set(paths) <= set(ids)
    # All colours are the page's, so that it can be dark.
    assert "var(--accent)" in text
    drawn = text[text.index("<svg") : text.rindex("</svg>")]
    assert not re.search(r"#[0-9a-f]{6}\b", drawn)
    assert section(both, method="$paste$")[0] == text


def test_the_drawing_shows_every_figure_and_scope_as_text() -> None:
    names = ["划痕划痕划痕划痕划痕划痕划痕", "$x_1$ #000001 id=", "Pit"]
    comparisons = [comparison(name) for name in names]
    page = Page(plot(comparisons, names, "p"))
    for figure in FIGURES:
        assert page.text.count(figure.name) == 1
    # Cut to 24 columns, of which a Chinese character takes two; twice, in each line of panels.
    assert page.text.count("划痕划痕划痕划痕划痕划…") == 2
    assert "划痕划痕划痕划痕划痕划痕" not in page.text
    assert page.text.count(names[1]) == 2
    assert page.text.count("n = 40") == 6
    assert page.text.count("less is better") == 3


def test_what_has_no_number_is_not_drawn() -> None:
    assert plot([refusal()], ["(all)"], "p") == ""
    assert plot([comparison(figures=())], ["(all)"], "p") == ""
    broken = Figure("KID", math.nan, 0, 0, 0, "low")
    assert plot([comparison(figures=(broken,))], ["(all)"], "p") == ""
    some = plot([comparison(), comparison("Pit", figures=(broken, FIGURES[2]))], ["a", "b"], "p")
    assert "nan" not in some
    # A figure that is 0 throughout still has an axis.
    nothing = Figure("near copies", 0, 0, 0, 0, "low")
    assert "near copies" in plot([comparison(figures=(nothing,))], ["(all)"], "p")


def test_nothing_compared_is_said() -> None:
    assert "Nothing was compared" in section([])[1].text
    text, page = section([refusal()])
    assert "All classes are not compared: 9 real samples" in page.text
    assert "<svg" not in text
