"""The report stands alone, escapes what users named, and says the right figures."""

import html
import re
import runpy
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from jinja2 import UndefinedError

from flawsmith.data import mvtec, yolo_seg
from flawsmith.data.dataset import DataSet, Record, Skipped
from flawsmith.data.formats import get_writer
from flawsmith.data.scan import Facts, components
from flawsmith.data.writing import Spec, Writer
from flawsmith.errors import OutputError
from flawsmith.evaluate.report import Fact, Section, render_report, write_report
from flawsmith.evaluate.report_sections import (
    MethodCounts,
    counts_section,
    grid_section,
    input_section,
    usage_section,
)
from flawsmith.sample import Sample

EVIL = '<script>alert("x")<b onclick=1>'
CLASSES = ("Crack", "Pit")


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def draw(name: str, planes: Iterable[int], *, seed: int = 0, size: int = 64) -> Sample:
    rng = np.random.default_rng(seed)
    masks = np.zeros((2, size, size), bool)
    for plane in planes:
        masks[plane, 8 + 16 * plane : 20 + 16 * plane, 10:30] = True
    image = rng.integers(0, 256, (size, size, 3)).astype(np.uint8)
    return Sample(name, image, masks, "defective" if masks.any() else "good", name)


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


def render(sections: list[Section], title: str = "Title") -> tuple[str, Page]:
    page = render_report(title=title, summary=[Fact("Made", "8", "of 9")], sections=sections)
    return page, Page(page)


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


def snippet(name: str, **usage: Any) -> str:
    """Return a snippet's text as a reader would copy it."""
    arguments = {"dataset_path": "out/dataset", "format": "folder", "classes": CLASSES} | usage
    page = render([usage_section(**arguments)])[0]
    found = re.search(rf'data-snippet="{name}"><code>(.*?)</code>', page, re.S)
    assert found
    return html.unescape(found[1]) + "\n"


def write(root: Path, name: str, samples: list[Sample], overlap: bool = False) -> None:
    writer: Writer = get_writer(name)
    spec = Spec(CLASSES, overlap)
    parts = [writer.write_sample(root, i, sample, spec) for i, sample in enumerate(samples)]
    lines = [{"id": s.id, "part": part} for s, part in zip(samples, parts, strict=True)]
    writer.finish(root, spec, lambda: iter(lines))


LABELS = {"train": {"good": 1, "defective": 2}, "test": {"defective": 2}}
SYNTHETIC = {"synthetic": {"defective": 3}}


@pytest.mark.parametrize(
    ("overlap", "parts"), [(False, LABELS | SYNTHETIC), (True, LABELS | SYNTHETIC), (False, LABELS)]
)
def test_the_segmentation_snippet_trains(
    overlap: bool,
    parts: dict[str, dict[str, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    torch = pytest.importorskip("torch")
    for number, (part, labels) in enumerate(parts.items()):
        samples = [draw(f"{part}{i}", {0, 1}, seed=number) for i in range(labels["defective"])]
        samples += [draw(f"{part}-good", ()) for _ in range(labels.get("good", 0))]
        samples += [replace(draw(f"{part}-unknown", ()), label="unknown")]
        write(tmp_path / "d" / part, "folder", samples, overlap)
    code = snippet("smp", dataset_path=str(tmp_path / "d"), parts=parts, overlap=overlap)
    small = code.replace("3000, 8, 256, 2", "3, 2, 32, 0").replace('"imagenet"', "None")
    assert small.count("3, 2, 32, 0") == small.count("encoder_weights=None") == 1
    (tmp_path / "train.py").write_text(small, "utf-8")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    # With pictures this small, threads only wait for one another.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    names = runpy.run_path(str(tmp_path / "train.py"), run_name="__main__")
    assert re.fullmatch(r"Crack: IoU [01]\.\d{3}\nPit: IoU [01]\.\d{3}\n", capsys.readouterr().out)
    assert (tmp_path / "segmenter.pt").is_file()
    _check_reading(names, torch, overlap)


def _check_reading(names: dict[str, Any], torch: Any, overlap: bool) -> None:
    """The snippet's reader returns the masks that were written, and cuts both alike."""
    test = names["Defects"]("test", train=False)
    assert len(test) == 2  # the unknown one has no mask
    picture, mask = test[0]
    wanted = draw("test0", {0, 1}, seed=1)
    planes = mask > 0 if overlap else torch.stack([mask == 1, mask == 2])
    assert (planes.numpy() == wanted.masks).all()
    back = picture.numpy().transpose(1, 2, 0) * names["STD"] + names["MEAN"]
    assert np.abs(back * 255 - wanted.image).max() < 0.01
    # A model that is always right reaches an IoU of 1.
    answers = [test[i][1] for i in range(2)]

    class Right(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            label = answers.pop(0)
            if overlap:
                return (label[None] - 0.5) * 9
            return torch.nn.functional.one_hot(label, 3).permute(2, 0, 1)[None].float()

    assert names["measure"](Right(), "test").tolist() == [1, 1]
    image = np.repeat(np.arange(100, dtype=np.uint8).reshape(10, 10, 1), 3, axis=2)
    label = image[..., :2].astype(np.float32) if overlap else image[..., 0]
    cut, marks = names["augment"](image, label)
    assert cut.shape[:2] == marks.shape[:2] == (32, 32)
    flat = marks[..., 0] if overlap else marks
    gain = cut.max() / 99
    assert np.abs(cut[..., 0] - flat * gain).max() < 0.01


@pytest.mark.parametrize("parts", [LABELS | SYNTHETIC, LABELS])
def test_the_yolo_snippet_names_what_the_writer_writes(
    parts: dict[str, dict[str, int]], tmp_path: Path
) -> None:
    for part in parts:
        write(tmp_path / part, yolo_seg.NAME, [draw("x", {0}), draw("y", ())])
    names = ("no", EVIL + ': "#')
    content = yaml.safe_load(snippet("yolo-yaml", parts=parts, classes=names))
    assert content["names"] == dict(enumerate(names))
    for folder in (*content["train"], content["val"], content["test"]):
        assert list((tmp_path / folder).rglob("x.png"))
        labels = tmp_path / folder.replace("images", "labels")
        assert list(labels.rglob("x.txt"))
    assert ("synthetic/images" in content["train"]) == ("synthetic" in parts)
    commands = snippet("yolo-train", parts=parts)
    assert commands.count("segment train") == len(content["train"])
    # No weights are chosen by the held-out images.
    assert "test" not in content["val"]
    assert "best.pt" not in commands


def test_paths_are_quoted_for_the_shell() -> None:
    text = snippet("yolo-convert", parts=LABELS, dataset_path="a b;rm/dataset/")
    assert text.splitlines()[0] == (
        "flawsmith data convert 'a b;rm/dataset/train' yolo/train --to yolo-seg"
    )


def test_other_formats_are_converted_first() -> None:
    text = snippet("convert", parts=LABELS, format="coco")
    assert text.splitlines()[1] == (
        "flawsmith data convert out/dataset/test folder-format/test --to folder"
    )
    assert 'DATA = Path("folder-format")' in snippet("smp", parts=LABELS, format="coco")


def test_the_anomalib_snippet_finds_what_the_writer_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "test", "synthetic"):
        good = replace(draw(f"{part}-good", ()), meta={"split": part})
        samples = [draw("a", {0}), good, draw("b", {1}), draw("c", {0})]
        write(tmp_path / "mvtec" / part, mvtec.NAME, samples)
    asked: dict[str, dict[str, Any]] = {}

    def folder(name: str, **options: Any) -> str:
        asked[name] = options
        return name

    class Engine:
        fit = test = staticmethod(lambda model, datamodule: None)

    _stand_in(monkeypatch, "anomalib.data", Folder=folder)
    _stand_in(monkeypatch, "anomalib.engine", Engine=Engine)
    _stand_in(monkeypatch, "anomalib.models", Patchcore=lambda: None)
    (tmp_path / "detect.py").write_text(snippet("anomalib", parts=LABELS | SYNTHETIC))
    monkeypatch.chdir(tmp_path)
    runpy.run_path("detect.py", run_name="__main__")
    assert list(asked) == ["synthetic", "test"]
    mv = tmp_path / "mvtec"
    assert asked["synthetic"]["normal_test_dir"] is None
    assert asked["test"]["normal_dir"] == [str(mv / "train/train/good")]
    assert asked["test"]["normal_test_dir"] == [str(mv / "test/test/good")]
    assert asked["test"]["abnormal_dir"] == [str(mv / "test/test" / name) for name in CLASSES]
    assert asked["test"]["mask_dir"] == [str(mv / "test/ground_truth" / n) for n in CLASSES]


def _stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **members: Callable[..., Any]) -> None:
    """Put a module in place of one that is no dependency of ours."""
    for module in ("anomalib", name):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    vars(sys.modules[name]).update(members)


def test_without_clean_images_no_detector_is_offered() -> None:
    section = usage_section("out", "folder", CLASSES, {"train": {"defective": 3}})
    text = render([section])[1].text
    assert "the training part has none" in text
    assert "Patchcore" not in text
