"""Helpers of the tests of the report: a parsed page, and samples to show."""

from collections.abc import Iterable
from html.parser import HTMLParser

import numpy as np

from flawsmith.evaluate.report import Fact, Section, render_report
from flawsmith.sample import Sample

CLASSES = ("Crack", "Pit")
# What a hostile folder might be called.
EVIL = '<script>alert("x")<b onclick=1>'


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


def render(sections: list[Section], title: str = "Title") -> tuple[str, Page]:
    page = render_report(title=title, summary=[Fact("Made", "8", "of 9")], sections=sections)
    return page, Page(page)
