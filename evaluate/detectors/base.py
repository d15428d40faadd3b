"""The one interface of all detectors: fit on clean pictures, score any, save and load."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from flawsmith import __version__
from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.frames import Form, Pictures, planes
from flawsmith.settings import Settings
from flawsmith.train.checkpoint import save_weights
from flawsmith.train.devices import pick_device
from flawsmith.train.weights import check_outline, load_into, read_tensors

KIND = "detector"


@dataclass(frozen=True, eq=False)
class Scored:
    """What a detector says of N pictures; larger is more anomalous.

    scores: (N,) float64. maps: (N, H, W) float32 in the pictures' size, or None where the method
    has none.
    """

    scores: NDArray[np.float64]
    maps: NDArray[np.float32] | None


class DetectorSettings(Settings):
    """What every detector can be told."""

    seed: int = Field(0, ge=0, lt=2**63, strict=True)
    portion: int = Field(
        16, ge=1, le=4096, strict=True, description="pictures that are scored at once"
    )


class Detector(ABC):
    """A detector. ``network`` holds all that fitting found, so a saved one is its tensors.

    name: by which ``registry`` knows it. maps: whether it tells where. form: of the pictures that
    it was fitted on, None before.
    """

    name: ClassVar[str]
    maps: ClassVar[bool]

    def __init__(self, settings: DetectorSettings, device: str = "auto") -> None:
        self.given = settings
        self.device = pick_device(device)
        self.form: Form | None = None
        self.network: nn.Module | None = None

    @property
    def fewest(self) -> int:
        """Clean pictures that it needs at least."""
        return 2

    def check(self, form: Form, count: int) -> None:
        """Raise InputError if it cannot learn from ``count`` pictures of a form; fits nothing.

        There may be too few, the network may not take the form, settings may not fit each other,
        or an extra may be missing. It takes no memory for weights.
        """
        self._check_count(count)
        self._check(form)

    def fit(self, clean: Pictures, *, counted: int | None = None) -> None:
        """Learn what clean pictures look like: uint8 (H, W) or (H, W, 3) RGB, all alike.

        counted: pictures that an epoch counts, at least 1; all of them unless given. So detectors
        that learn from more pictures and from fewer can be trained for as many steps. Raises
        InputError as ``check`` does, and for pictures of several forms.
        """
        if counted is not None and counted < 1:
            raise ValueError(f"{counted} pictures counted")
        self._check_count(len(clean))
        form = Form.of(clean[0])
        self._check(form)
        self.network = self._fit(clean, form, counted or len(clean))
        self.form = form

    def score(self, pictures: Pictures) -> Scored:
        """Score pictures of the form that it was fitted on; any number, also none.

        Raises InputError for another form, before ``fit``, and for scores that are not finite.
        """
        form, network = self._ready()
        scores, maps = [np.zeros(0)], [np.zeros((0, form.height, form.width), np.float32)]
        network.eval()
        with torch.no_grad(), exactly():
            for batch in self._portions(pictures, form):
                told, where = self._score(network, batch)
                # First to the CPU: Apple's MPS has no float64.
                scores.append(told.cpu().double().numpy())
                if where is not None:
                    maps.append(where.float().cpu().numpy())
        joined = np.concatenate(scores)
        if not np.isfinite(joined).all():
            raise InputError(f"{self.name} gives scores that are not finite", mend="train it anew")
        return Scored(joined, np.concatenate(maps) if self.maps else None)

    def save(self, path: Path) -> None:
        """Write a safetensors file that ``registry.load_detector`` reads; raises OutputError."""
        form, network = self._ready()
        config = {"name": self.name, "form": asdict(form), "layout": self._layout(network)}
        config |= {"settings": self.given.model_dump(mode="json")}
        facts = {"flawsmith": __version__, "kind": KIND, "step": 0, "config": config}
        save_weights(path, network, facts)

    def restore(self, path: Path, form: Form, layout: dict[str, Any]) -> None:
        """Take up the tensors of a saved detector of these settings; raises InputError.

        The file may be a stranger's: its shapes must be those of the settings before any memory is
        taken, so a small file cannot ask for more than it holds.
        """
        build, what = lambda: self._empty(form, layout), "detector of flawsmith"
        check_outline(path, build, what, self._weightless())
        network = self._empty(form, layout)
        load_into(network, read_tensors(path, {}), path)
        self.form, self.network = form, network.to(self.device)

    @property
    def size(self) -> int:
        """Bytes of all tensors that a saved detector holds."""
        tensors = self._ready()[1].state_dict().values()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _check_count(self, count: int) -> None:
        if count < self.fewest:
            raise InputError(
                f"{count} clean pictures; {self.name} needs at least {self.fewest}",
                mend="name more clean images, or another detector",
            )

    def _check(self, form: Form) -> None:
        """Raise InputError unless the network can be built for pictures of a form."""
        with self._weightless():
            self._empty(form, {})

    def _weightless(self) -> AbstractContextManager[object]:
        """Let networks be built without memory for their weights."""
        return torch.device("meta")

    @abstractmethod
    def _fit(self, clean: Pictures, form: Form, counted: int) -> nn.Module:
        """Return the fitted network on the device; an epoch, if there are any, counts so many."""

    @abstractmethod
    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (N,) scores and (N, H, W) maps or None of (N, C, H, W) float in [-1, 1]."""

    @abstractmethod
    def _empty(self, form: Form, layout: dict[str, Any]) -> nn.Module:
        """Return a network of the right shapes for tensors to be read into."""

    def _layout(self, network: nn.Module) -> dict[str, Any]:
        """Return, JSON-able, what the shapes depend on beside settings and form."""
        return {}

    def _ready(self) -> tuple[Form, nn.Module]:
        if self.form is None or self.network is None:
            raise InputError(f"{self.name} has seen no clean picture yet", mend="fit it first")
        return self.form, self.network

    def _portions(self, pictures: Pictures, form: Form) -> Iterator[Tensor]:
        for start in range(0, len(pictures), self.given.portion):
            part = planes(pictures[start : start + self.given.portion], form)
            yield floats(torch.from_numpy(part).to(self.device))


@contextmanager
def exactly() -> Iterator[None]:
    """Let GPUs convolve in full float32 and alike each time: where features are kept or scored."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def floats(x: Tensor) -> Tensor:
    """Return uint8 values as float32 in [-1, 1]."""
    return x.to(torch.float32) / 127.5 - 1
