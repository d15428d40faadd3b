"""What can be set about a run."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from flawsmith.augment.settings import AugmentSettings, Method
from flawsmith.errors import InputError
from flawsmith.settings import Settings, load_settings

AUGMENTED: tuple[Method, ...] = ("classical", "paste", "procedural")
RunMethod = Literal["classical", "paste", "procedural", "inpaint"]


class InpaintRun(Settings):
    """Settings of the method ``inpaint``: how the generator is trained, and how it paints."""

    preset: Literal["tiny", "small", "large"] = "small"
    train: dict[str, Any] = Field(default_factory=dict, description="changes to the preset")
    apply: dict[str, Any] = Field(default_factory=dict, description="as for inpaint apply")


class RunSettings(Settings):
    """Settings of a run; ``classical``, ``paste`` and so on hold that method's own."""

    seed: int = Field(0, ge=0, strict=True)
    count: int = Field(200, ge=1, strict=True, description="candidates a method")
    test_fraction: float = Field(
        0.3, gt=0, lt=1, description="share of the groups kept for testing, seen by no method"
    )
    methods: tuple[RunMethod, ...] | None = Field(
        None,
        description="default: classical and paste where the data allows, else procedural; inpaint "
        "trains a network first: minutes on a GPU, half an hour on two cores",
    )
    features: Literal["lite0", "inception", "none"] = Field(
        "lite0", description="network behind the distances; none leaves them out"
    )
    weights: Path | None = Field(None, description="that network's weights, if not the usual ones")
    to: str = Field("folder", description="format of the data sets written")
    classical: dict[str, Any] = Field(default_factory=dict)
    paste: dict[str, Any] = Field(default_factory=dict)
    procedural: dict[str, Any] = Field(default_factory=dict)
    inpaint: InpaintRun = Field(default_factory=InpaintRun)
    inpaint_steps: int | None = Field(
        None, ge=1, strict=True, description="training steps of inpaint; default the preset's"
    )

    def of_method(self, method: Method) -> AugmentSettings:
        """Return the method's settings; raises InputError naming a wrong one."""
        given: dict[str, Any] = getattr(self, method)
        base = {"count": self.count, "seed": self.seed}
        try:
            if "method" in given:
                raise InputError("its method is settled by its name", mend="remove 'method'")
            return load_settings(AugmentSettings, None, {**base, **given, "method": method})
        except InputError as error:
            raise InputError(error.what, where=f"settings of {method}", mend=error.mend) from error

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: tuple[RunMethod, ...] | None) -> tuple[RunMethod, ...] | None:
        return None if methods is None else tuple(dict.fromkeys(methods))
