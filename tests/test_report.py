"""The report stands alone, escapes what users named, and says the right figures."""

import html
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from flawsmith.data.dataset import DataSet, Record, Skipped
from flawsmith.data.scan import Facts, components
from flawsmith.errors import OutputError
from flawsmith.evaluate.report import Section, write_report
from flawsmith.evaluate.report_sections import (
    MethodCounts,
    counts_section,
    grid_section,
    input_section,
    usage_section,
)
from flawsmith.sample import Sample
from tests.report_helpers import CLASSES, EVIL, draw, render


def facts_of(sample: Sample) -> Facts:
    return Facts(
        sample.id,
        sample.label,
        sample.group,
        *sample.size,
        3,
        tuple(int(m.sum()) for m in sample.masks),
        components(sample.masks),
        False,
        sample.id,
    )


def dataset(samples: Iterable[Sample], **fields: Any) -> DataSet:
    records = tuple(Record(s.id, Path(s.id)) for s in samples)
    return DataSet(Path("in"), "pairs", fields.pop("classes", CLASSES), records, **fields)


def whole(classes: tuple[str, ...] = CLASSES, prefix: str = "") -> list[Section]:
    real = [draw(f"{prefix}real-{i}", {i % 2}, seed=i) for i in range(4)]
    made = [draw(f"{prefix}made-{i}", {0, 1}, seed=i) for i in range(4)]
    skipped = (Skipped(f"{prefix}a.png", f"{prefix}broken"),)
    data = dataset(real, classes=classes, skipped=skipped, notices=(f"{prefix}notice",))
    parts = {"train": [0, 1, 2], "test": [3]}
    labels = {"train": {"good": 1}, "test": {"good": 1}, "synthetic": {"defective": 4}}
    counts = MethodCounts(f"{prefix}paste", 9, {f"{prefix}full": 1}, 4, {f"{prefix}faint": 4})
    return [
        input_section(data, [facts_of(sample) for sample in real], parts),
        grid_section(f"{prefix}paste", real, made, classes, f"{prefix}text"),
        counts_section([counts, MethodCounts("classical", 2, {}, 2, {})]),
        usage_section(f"{prefix}out/dataset", "folder", classes, labels),
    ]


def cells(section: Section) -> list[list[str]]:
    """Return the texts of a section's table rows."""
    page, _ = render([section])
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.S)
    return [
        [html.unescape(re.sub("<[^>]*>", "", c)) for c in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in rows
    ]


def test_hostile_names_are_escaped_everywhere() -> None:
    text, page = render(whole((EVIL, '"><img src=x onerror=1>'), prefix=EVIL), title=EVIL)
    assert not page.all("script")
    assert "<script" not in text
    assert all(not key.startswith("on") for _, found in page.tags for key in found)
    assert all((image["src"] or "").startswith("data:image/jpeg") for image in page.all("img"))
    # The title, id, class, method, reason, notice and path are all still to be read.
    assert page.text.count("alert") > 20


def test_the_file_reaches_for_nothing_outside() -> None:
    text, page = render(whole())
    for _, found in page.tags:
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            assert (found.get(key) or "#").startswith(("#", "data:image/jpeg;base64,"))
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    policy = next(m for m in page.all("meta") if m.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_pictures_have_words_and_sizes_and_elements_close() -> None:
    _, page = render(whole())
    assert len(page.all("img")) == 2 * 2 * (2 + 3)
    assert all(image["alt"] and image["width"] and image["height"] for image in page.all("img"))
    assert page.open == []


def test_headings_descend_one_level_at_a_time_and_links_lead_somewhere() -> None:
    _, page = render(whole())
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in page.all("a")} == {f"#section-{n}" for n in (1, 2, 3, 4)}
    assert {f"section-{n}" for n in (1, 2, 3, 4)} <= set(ids)


def test_size_stays_bounded_even_for_noise() -> None:
    # Three methods with three classes' worth of the worst pictures there are.
    samples = [draw(f"n{i}", {0, 1}, seed=i, size=400) for i in range(3)]
    sections = [grid_section(f"m{i}", samples, samples, CLASSES, "") for i in range(3)]
    text, page = render(sections)
    assert len(page.all("img")) == 3 * 2 * 3 * 2 * 2
    assert len(text) < 5_000_000 * len(page.all("img")) / 144


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render(whole())[0] == render(whole())[0]


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render([Section("Counts", "section_counts.html.j2", {"rows": []})])


def test_the_report_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(path, title="bad \udcff name", summary=[], sections=[])
    assert "bad ? name" in path.read_text("utf-8")
    before = path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"report\.html: cannot be written: No space"):
        write_report(path, title="other", summary=[], sections=[])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_report(tmp_path / "file" / "report.html", title="t", summary=[], sections=[])


def test_input_figures() -> None:
    samples = [draw("a", {0}), draw("b", {0, 1}), draw("c", {}), draw("d", {}, size=80)]
    facts = [facts_of(sample) for sample in samples]
    section = input_section(dataset(samples), facts, {"train": [0, 1, 2], "test": [3]})
    rows = cells(section)
    # 12 x 20 pixels each.
    assert ["Crack", "2", "2", "480", "240", "240", "240"] in rows
    assert ["Pit", "1", "1", "240", "240", "240", "240"] in rows
    assert ["good", "2", "backgrounds, clean samples"] in rows
    assert ["64 × 64", "3"] in rows
    assert rows[-5:-2] == [["Crack", "2", "0"], ["Pit", "1", "0"], ["no defect", "1", "1"]]
    assert rows[-2:] == [["All images", "3", "1"], ["Groups", "3", "1"]]
    assert "No group lies in more than one part" in render([section])[1].text
    assert "64 to 80 px wide" in render([section])[1].text


def test_sizes_are_listed_only_where_they_tell_something() -> None:
    facts = [replace(facts_of(draw("a", {0})), width=100 + i) for i in range(40)]
    text = render([input_section(dataset([]), facts, {})])[1].text
    assert "100 to 139 px wide, 64 px high, in 40 sizes" in text
    assert "Width × height" not in text
    assert "Width × height" in render([input_section(dataset([]), facts[:1] * 9, {})])[1].text


def test_a_torn_group_is_told() -> None:
    facts = [replace(facts_of(draw(name, {0})), group="tile") for name in "ab"]
    section = input_section(dataset([]), facts, {"train": [0], "test": [1]})
    assert "1 groups lie in more than one part" in render([section])[1].text


def test_skipped_entries_are_listed_up_to_fifty() -> None:
    skipped = tuple(Skipped(f"x{i}.png", "a mask without an image") for i in range(53))
    text = render([input_section(dataset([], skipped=skipped), [], {})])[1].text
    assert "53 entries take no part" in text
    assert "a mask without an image (53)" in text
    assert "x49.png" in text
    assert "x50.png" not in text
    assert "and 3 more" in text


def test_counts() -> None:
    rows = [
        MethodCounts("paste", 400, {"no place": 13}, 1300, {"faint": 41, "copy": 9}),
        MethodCounts("classical", 20, {}, 18, {"copy": 2}),
    ]
    table = cells(counts_section(rows))
    assert table[1] == ["paste", "400", "13", "1,350", "50", "1,300", "96%"]
    assert table[3] == ["All", "420", "13", "1,370", "52", "1,318", "96%"]
    assert table[4:] == [
        ["Reason", "paste", "classical"],
        ["Refused"],
        ["no place", "13", "0"],
        ["Rejected"],
        ["faint", "41", "0"],
        ["copy", "9", "2"],
    ]


def test_nothing_made_is_no_error() -> None:
    text = render(
        [counts_section([MethodCounts("paste", 0)]), grid_section("paste", [], [], CLASSES, "")]
    )[1].text
    assert "–" in text
    assert "nothing to show" in text
