"""The arms of the segmentation check, in tables and drawings that say the same."""

import math
import re
from dataclasses import replace

import pytest

from flawsmith.evaluate.arms_plot import plot_classes, plot_main
from flawsmith.evaluate.arms_section import arms_section
from flawsmith.evaluate.paired import Better, Difference
from flawsmith.evaluate.segment import SegmentCheck
from flawsmith.evaluate.segment_curve import Curve
from flawsmith.evaluate.verdict import Finding
from tests.report_helpers import EVIL, Page, render
from tests.run_report_helpers import check


def rows_of(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", text, re.S)
    cells = [re.findall(r"<t[hd].*?</t[hd]>", row, re.S) for row in rows]
    return [[re.sub("<[^>]*>", "", cell) for cell in row] for row in cells]


def section(found: SegmentCheck, curve: Curve | None = None) -> tuple[str, Page]:
    return render([arms_section(found, curve)])


def finding(value: float, low: float, high: float, name: str = "mIoU", arm: str = "a") -> Finding:
    better: Better = "low" if name == "false alarms" else "high"
    seeds = (value - 0.01, value + 0.01)
    found = Difference(name, better, 0, 0, value, low, high, seeds, 12, 12, 24, 2, 9)
    return Finding(arm, "real", found)


def test_the_table_has_means_and_ranges_over_the_seeds() -> None:
    found = check()
    first = found.arms[0]
    runs = [
        replace(run, miou=miou, iou=(iou, None), mdice=0.7, alarmed=alarmed)
        for run, miou, iou, alarmed in zip(
            first.runs, (0.5, 0.52, 0.57), (0.4, 0.5, 0.6), (3, 4, 6), strict=True
        )
    ]
    own = replace(first, runs=tuple(runs))
    rows = rows_of(section(replace(found, arms=(own, *found.arms[1:])))[0])
    # By hand: means of the three runs.
    assert rows[1] == ["real", "0", "0.530", "0.500 to 0.570", "0.500", "–", "0.700", "4.3"]
    assert rows[0][-1] == "False alarms of 8 clean"
    assert [row[:2] for row in rows[2:5]] == [
        [name, "132"] for name in ("real+paste", "real+random", "real+filtered")
    ]


def test_one_seed_has_no_range_and_no_clean_images_no_alarms() -> None:
    text, page = section(check(seeds=1, clean=False))
    rows = rows_of(text)
    assert rows[1][3] == "–"
    assert "alse alarms of" not in page.text
    assert "no clean test images" in page.text


def test_every_difference_is_in_the_table_with_its_verdict() -> None:
    found = check()
    text, page = section(found)
    told = [row for row in rows_of(text) if len(row) == 5 and row[0] != "Figure"]
    assert len(told) == len(found.findings) + len(found.details)
    for finding in (*found.findings, *found.details):
        wanted = [finding.difference.showing, finding.word]
        assert any(row[0].startswith(finding.difference.name) and row[3:] == [*map(str, wanted)]
                   for row in told)  # fmt: skip
    assert page.text.count("fewer than 10 groups show Crack (8), Pit (8)") == 1
    assert page.open == []


def test_the_drawings_say_their_numbers_to_those_who_cannot_see() -> None:
    found = check()
    _, page = section(found)
    main, classes = page.all("svg")
    assert main["role"] == classes["role"] == "img"
    for finding in found.findings:
        points = f"{100 * finding.difference.value:+.1f}"
        assert f"{finding.arm} against {finding.base}: mIoU {points} (" in (
            main["aria-label"] or ""
        )
    for finding in found.details:
        drawn = f"{finding.difference.name} " in (classes["aria-label"] or "")
        assert drawn == (finding.difference.name != "mDice")
    assert not {"script", "image", "style"} & {
        tag for tag, _ in page.tags[page.tags.index(("main", {})) :]
    }
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_verdict_has_a_shape_and_the_page_its_colours() -> None:
    helps, hurts, none = (finding(*n) for n in ((0.1, 0.05, 0.2), (-0.1, -0.2, -0.05), (0, -1, 1)))
    shapes = {}
    for name, one in (("helps", helps), ("hurts", hurts), ("none", none)):
        drawn = plot_main([one], "p")
        assert not re.search(r"#[0-9a-f]{6}\b", drawn)
        paths = re.findall(r'<path id="p-\w+" d="([^"]+)"', drawn)
        shapes[name] = (frozenset(paths), "fill: var(--ground)" in drawn)
    assert len(set(shapes.values())) == 3
    assert "var(--accent)" in plot_main([helps], "p")
    assert "var(--dropped)" in plot_main([hurts], "p")
    assert "var(--accent)" not in plot_main([none], "p")


def test_what_is_drawn_lies_where_the_axis_says() -> None:
    drawn = plot_main([finding(0.1, 0.05, 0.15), finding(0.2, 0.15, 0.25, arm="b")], "p")
    assert "a against real" in drawn
    assert "+10.0 (+5.0 to +15.0)" in drawn
    marks: dict[str, list[float]] = {}
    for name, x in re.findall(r'<use xlink:href="#p-(\w+)" x="([\d.]+)"', drawn):
        marks.setdefault(name, []).append(float(x))
    circles = re.findall(r'<path id="p-(\w+)" d="M 0 3\.5 \nC', drawn)
    (values,) = (marks[name] for name in circles)
    zero = re.search(r'<path d="M ([\d.]+) [\d.]+ \nL \1 ', drawn)
    assert zero
    # Twice as far from zero.
    assert values[1] - float(zero[1]) == pytest.approx(2 * (values[0] - float(zero[1])), abs=0.01)


def test_less_is_better_for_false_alarms() -> None:
    drawn = plot_classes([finding(-0.1, -0.2, -0.05, "false alarms")], "p")
    assert "less is better" in drawn
    assert "false alarms -10.0 (-20.0 to -5.0) points, helps" in drawn


def test_what_has_no_number_is_not_drawn() -> None:
    assert plot_main([], "p") == plot_classes([], "p") == ""
    assert plot_main([finding(math.nan, 0, 0)], "p") == ""
    # A pair that lacks one of the figures leaves its row of that panel empty.
    both = [finding(0.1, 0, 1, "IoU x"), finding(0, 0, 0, "IoU x", "b"), finding(0, 0, 0, "IoU y")]
    assert plot_classes(both, "p").count("against real</text>") == 2


def test_names_are_escaped_and_dollars_no_formulas() -> None:
    found = check({EVIL: 0.1, "$x_1$": 0.2}, classes=(EVIL, "划痕"))
    text, page = section(found)
    assert "<script" not in text
    assert all(not key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "$x_1$ against real" in page.text
    assert "划痕" in page.text


def test_a_base_alone_is_said() -> None:
    text, page = section(check({}))
    assert "Only one arm was trained" in page.text
    assert "<svg" not in text


def test_a_leak_takes_back_what_is_said_of_the_test() -> None:
    assert "that no method saw" in section(check())[1].text
    assert "that no method saw" not in section(check(leak="x"))[1].text


def test_the_steps_are_shown_to_suffice_or_not() -> None:
    curve = Curve(
        (400, 800, 1600), ((0.5, 0.52), (0.55, 0.57), (0.56, 0.57)), (0, 1), 40, 13, 20, 7
    )
    text, page = section(check(), curve)
    assert "trained on 40 images (13 groups) of the training part and tested on its 20" in page.text
    assert "doubling 800 steps moves mIoU by +0.5 points (7 held-out groups, 2 seeds): enough" in (
        page.text
    )
    rows = rows_of(text)[-3:]
    assert rows == [["400", "0.510", "–"], ["800", "0.560", "+5.0"], ["1,600", "0.565", "+0.5"]]
    assert "Was it trained for long enough" not in section(check())[1].text


def test_the_same_check_gives_the_same_bytes() -> None:
    assert section(check())[0] == section(check())[0]
