"""The snippets of the report run as they are printed, on what the writers write."""

import html
import re
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from flawsmith.data import mvtec, yolo_seg
from flawsmith.data.formats import get_writer
from flawsmith.data.writing import Spec, Writer
from flawsmith.evaluate.report_sections import usage_section
from flawsmith.sample import Sample
from tests.report_helpers import CLASSES, EVIL, draw, render


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
