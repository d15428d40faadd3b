"""cpc: patches that cannot be predicted from the rest of the picture are anomalous.

Contrastive predictive coding (van den Oord et al. 2018, arXiv 1807.03748), its loss the score (de
Haan and Loewe 2021, arXiv 2107.07820). A model each looks down, up, left and right.
"""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from flawsmith.errors import InputError
from flawsmith.evaluate.detectors.base import floats
from flawsmith.evaluate.detectors.cpc_networks import Direction, info_nce, patches_of
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.learned import DetectorTask, Learned, LearnedSettings
from flawsmith.seeding import rng
from flawsmith.train.task import Context

# Quarter turns of the picture: rows are predicted downwards in each.
TURNS = (0, 1, 2, 3)


class CpcSettings(LearnedSettings):
    """Patches, encoder, and what predicts."""

    epochs: int = Field(100, ge=1, strict=True, description="how often each clean picture is seen")
    rate: float = Field(1e-3, gt=0, description="learning rate of Adam")
    tile: int = Field(
        64, ge=16, le=4096, strict=True, description="side of what is looked at at once"
    )
    patch: int = Field(16, ge=8, le=2048, multiple_of=2, strict=True, description="side of a patch")
    encoder: Literal["small", "resnet18v2", "resnet50v2", "densenet"] = "small"
    values: int = Field(64, ge=1, le=4096, strict=True, description="of an embedding")
    context: bool = Field(False, description="predict from a PixelCNN over the rows above")
    skip: int = Field(
        1, ge=0, le=64, strict=True, description="rows left out: they overlap the next one"
    )
    ahead: int = Field(
        5, ge=1, le=64, strict=True, description="rows predicted at most, a matrix each"
    )
    negatives: int = Field(
        128, ge=1, le=65536, strict=True, description="clean patches kept, to score against"
    )

    @model_validator(mode="after")
    def _fits(self) -> "CpcSettings":
        if self.tile % (self.patch // 2) or self.grid < 2 * (self.skip + 1):
            raise ValueError(
                f"tile {self.tile} and patch {self.patch}: wanted a multiple of half a patch that "
                f"holds {2 * (self.skip + 1)} half overlapping patches or more"
            )
        return self

    @property
    def grid(self) -> int:
        """Patches along a side of a tile."""
        return 2 * self.tile // self.patch - 1

    @property
    def steps(self) -> tuple[int, ...]:
        """Rows ahead that are predicted."""
        first = self.skip + 1
        return tuple(range(first, min(first + self.ahead, self.grid)))


THESIS = {"tile": 256, "patch": 64, "encoder": "resnet18v2", "values": 1024, "context": True}


class CpcTask(DetectorTask):
    """Each direction's model on one tile a picture; negatives are the batch's other patches.

    All pictures are clean, so those are negatives from clean training images, too.
    """

    def __init__(self, network: nn.ModuleList, stack: Tensor, settings: CpcSettings) -> None:
        optimizer = torch.optim.Adam(network.parameters(), settings.rate)
        super().__init__(network, stack, {"network": optimizer})
        self.parts = network
        self.settings = settings

    def step(self, context: Context) -> dict[str, Tensor]:
        x = self._tiles(context)
        losses = []
        for turn, model in zip(TURNS, self.parts, strict=True):
            assert isinstance(model, Direction)
            with context.autocast():
                z = model.embed(patches_of(torch.rot90(x, turn, (2, 3)), self.settings.patch))
                pairs = model.pairs(z)
            losses.append(torch.stack([_contrast(said, there) for said, there in pairs]).mean())
        told = torch.stack(losses).mean()
        # The models share nothing: the sum of their losses trains each by its own.
        context.backward_and_step("network", torch.stack(losses).sum())
        return {"loss": told}

    def _tiles(self, context: Context) -> Tensor:
        """Return one tile of each picture, at a place of its own."""
        x, side = self.batch(context), self.settings.tile
        cut = []
        for one, place in zip(x, context.places, strict=True):
            generator = rng(context.seed, "tile", context.step, place)
            room = [n - side + 1 for n in one.shape[1:]]
            top, left = (int(generator.integers(n)) for n in room)
            cut.append(one[:, top : top + side, left : left + side])
        return torch.stack(cut)


def _contrast(said: Tensor, there: Tensor) -> Tensor:
    """Return the mean InfoNCE where each patch's negatives are all others of the batch."""
    said, there = said.flatten(0, 2).float(), there.flatten(0, 2).float()
    return F.cross_entropy(said @ there.T, torch.arange(len(said), device=said.device))


class Cpc(Learned):
    """Score: the largest InfoNCE loss of a patch, the mean of its directions; map: that of each.

    Negatives are the picture's other patches and ``negatives`` embeddings of clean training
    patches, kept with the weights, with and without context: of a batch's, a picture's score would
    depend on the others. Without its own, a picture in an unusual light would be *less* anomalous:
    its patches tell each other from all clean ones at once. The mean over patches would drown a
    defect in what is hard to predict everywhere.
    """

    name: ClassVar[str] = "cpc"
    maps: ClassVar[bool] = True

    def __init__(
        self, settings: CpcSettings, device: str = "auto", folder: Path | None = None
    ) -> None:
        super().__init__(settings, device, folder)
        self.settings = settings

    def _build(self, form: Form) -> nn.Module:
        own = self.settings
        if min(form.height, form.width) < own.tile:
            raise InputError(
                f"pictures of {form} are smaller than a tile of {own.tile} pixels",
                mend="a smaller tile and patch, or larger pictures",
            )
        return nn.ModuleList(
            Direction(form.channels, own.encoder, own.values, own.steps, own.context, own.negatives)
            for _ in TURNS
        )

    def _task(self, network: nn.Module, stack: Tensor) -> DetectorTask:
        assert isinstance(network, nn.ModuleList)
        return CpcTask(network, stack, self.settings)

    def _finish(self, network: nn.Module, stack: Tensor) -> None:
        """Keep embeddings of clean patches, drawn from all training pictures, as negatives."""
        assert isinstance(network, nn.ModuleList)
        own = self.settings
        generator = rng(own.seed, "negatives")
        count, side = own.negatives, own.patch
        rows, columns = (full - side + 1 for full in stack.shape[2:])
        places = [generator.integers(high, size=count) for high in (len(stack), rows, columns)]
        cut = [stack[i, :, r : r + side, c : c + side] for i, r, c in zip(*places, strict=True)]
        patches = floats(torch.stack(cut))
        for turn, model in zip(TURNS, network, strict=True):
            assert isinstance(model, Direction)
            turned = torch.rot90(patches, turn, (2, 3))
            model.bank.copy_(model.encoder(turned))

    def _score(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None]:
        assert isinstance(network, nn.ModuleList)
        side = self.settings.tile
        total = torch.zeros_like(x[:, 0])
        times = torch.zeros_like(total)
        scores = []
        for top in starts(x.shape[2], side):
            for left in starts(x.shape[3], side):
                place = (slice(None), slice(top, top + side), slice(left, left + side))
                grid = self._grid(network, x[:, :, top : top + side, left : left + side])
                scores.append(grid.flatten(1).amax(dim=1))
                total[place] += F.interpolate(grid[:, None], size=(side, side), mode="bilinear")[
                    :, 0
                ]
                times[place] += 1
        return torch.stack(scores).amax(dim=0), total / times

    def _grid(self, network: nn.ModuleList, x: Tensor) -> Tensor:
        """Return (N, g, g): the loss of each patch, the mean over what predicted it."""
        own = self.settings
        total = x.new_zeros(len(x), own.grid, own.grid)
        times = torch.zeros_like(total)
        for turn, model in zip(TURNS, network, strict=True):
            assert isinstance(model, Direction)
            z = model.embed(patches_of(torch.rot90(x, turn, (2, 3)), own.patch))
            losses, seen = torch.zeros_like(total), torch.zeros_like(total)
            for k, (said, there) in zip(model.steps, model.pairs(z), strict=True):
                flat = info_nce(said.flatten(1, 2), there.flatten(1, 2), model.bank)
                losses[:, k:] += flat.view(said.shape[:3])
                seen[:, k:] += 1
            total += torch.rot90(losses, -turn, (1, 2))
            times += torch.rot90(seen, -turn, (1, 2))
        return total / times


def starts(length: int, side: int) -> list[int]:
    """Return where tiles of a side begin along a length: half overlapping, the last one flush."""
    step = side // 2
    count = -(-(length - side) // step) + 1
    return [min(i * step, length - side) for i in range(count)]
