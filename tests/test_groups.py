"""Which images show one part: groups.csv, a regular expression, exact copies."""

from pathlib import Path

import pytest

from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.scan import scan
from tests.folder_helpers import complaint, numbered
from tests.format_helpers import save_grey


def test_groups_by_table_with_any_of_the_known_columns(tmp_path: Path) -> None:
    numbered(tmp_path)
    for column, name in (("file", "group"), ("ImageId", "plate_group"), ("path", "part_group")):
        rows = f"{column},extra,{name}\np0.png,1,g\nimages/p1.png,2,g\np2.png,3,h\np9.png,4,h\n"
        (tmp_path / "groups.csv").write_text(rows)
        found = read_dataset(tmp_path)
        assert found.groups == ("g", "g", "h", "p3")
        assert [str(s) for s in found.skipped] == [
            "groups.csv: 1 rows without an image, such as p9.png"
        ]
        notice = "groups.csv gives no group for 1 images (each counts as its own): p3"
        assert notice in found.notices


def test_columns_that_name_folders_tell_equal_file_names_apart(tmp_path: Path) -> None:
    for place in ("train/crack", "train/pit", "test/crack"):
        save_grey(tmp_path / f"images/{place}/x.png")
    rows = [
        "split,class,file,group",
        "train,crack,x.png,1",
        "train,pit,x.png,2",
        "test,crack,x.png,1",
    ]
    (tmp_path / "groups.csv").write_text("\n".join(rows))
    found = read_dataset(tmp_path)
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert groups == {"train__crack__x": "1", "train__pit__x": "2", "test__crack__x": "1"}
    # Without the class, a row of train fits two images.
    (tmp_path / "groups.csv").write_text("split,file,group\ntrain,x.png,1\n")
    line = complaint(tmp_path)
    assert "groups.csv:2: x.png fits 2 images (mend: give the path" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a column 'file' and a column 'group'"),
        ("name,group\np0.png,1\n", "found ['name', 'group']"),
        ("file,part\np0.png,1\n", "found ['file', 'part']"),
        ("file,group\np0.png,1\np0.png,2\n", "groups.csv:3: p0.png has two groups"),
        ("file,group\np0.png\n", "groups.csv:2: the row has another number of fields"),
    ],
)
def test_bad_group_tables_are_refused(tmp_path: Path, text: str, words: str) -> None:
    numbered(tmp_path)
    (tmp_path / "groups.csv").write_text(text)
    assert words in complaint(tmp_path)


def test_names_that_escape_are_rows_without_an_image(tmp_path: Path) -> None:
    numbered(tmp_path)
    (tmp_path / "groups.csv").write_text('file,group\n../p0.png,1\n/p1.png,1\n"a\nb",1\n,1\n')
    found = read_dataset(tmp_path)
    assert found.groups == ("p0", "p1", "p2", "p3")
    (entry,) = found.skipped
    assert "4 rows without an image, such as ../p0.png" in str(entry)
    assert "\n" not in str(entry)


def test_groups_by_regular_expression_go_before_the_table(tmp_path: Path) -> None:
    numbered(tmp_path)
    (tmp_path / "groups.csv").write_text("file,group\np0.png,x\n")
    found = read_dataset(tmp_path, ReadOptions(group_regex=r"images/p([01])"))
    assert found.groups == ("0", "1", "p2", "p3")
    assert any("--group-regex gives no group for 2 images" in notice for notice in found.notices)
    assert read_dataset(tmp_path, ReadOptions(group_regex="p")).groups == ("p",) * 4
    assert "--group-regex is no regular expression" in complaint(
        tmp_path, ReadOptions(group_regex="(")
    )


def test_copies_of_an_image_share_a_group(tmp_path: Path) -> None:
    numbered(tmp_path)
    for name in ("copy1", "copy2"):
        save_grey(tmp_path / f"images/{name}.png", value=11)
    (tmp_path / "groups.csv").write_text("file,group\np0.png,g\np1.png,g\n")
    found = scan(read_dataset(tmp_path)).dataset
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert groups["copy1"] == groups["copy2"] == groups["p1"] == groups["p0"]
    assert groups["p2"] != groups["p0"]
    assert any("1 images occur more than once" in notice for notice in found.notices)
