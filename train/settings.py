"""Settings of the training loop; what a network learns, and from what, are its task's own."""

from typing import Any, Literal

from pydantic import Field

from flawsmith.settings import Settings

# They say how long and with what a run goes on, not what it is: they may change when it resumes.
FREE = frozenset(
    {"steps", "device", "log_every", "preview_every", "checkpoint_every", "checkpoint_seconds"}
)


class TrainSettings(Settings):
    """How long, in which portions and with what machine a task is trained."""

    steps: int = Field(1000, ge=1, strict=True, description="training steps in all")
    batch: int = Field(
        8, ge=1, strict=True, description="samples a step, over all processes together"
    )
    seed: int = Field(0, ge=0, strict=True)
    device: str = Field("auto", description="auto, cpu, mps, cuda or cuda:1")
    precision: Literal["no", "bf16"] = Field(
        "no",
        description="bf16: forward passes in bfloat16. There is no fp16: its range needs a loss "
        "scaler for each optimiser, and double backward passes overflow all the same",
    )
    ema: float = Field(0.999, ge=0, lt=1, description="decay a step of the weights' average")
    log_every: int = Field(50, ge=1, strict=True, description="steps a line of metrics")
    preview_every: int = Field(0, ge=0, strict=True, description="steps a picture; 0: none")
    checkpoint_every: int = Field(
        0, ge=0, strict=True, description="steps between checkpoints; 0: by the clock alone"
    )
    checkpoint_seconds: float = Field(
        300.0, gt=0, description="a checkpoint after so many seconds without one"
    )
    channels_last: bool = Field(False, description="lay pictures out by pixel; quicker on GPUs")
    compile: bool = Field(
        False, description="torch.compile; not for tasks with double backward passes"
    )

    def deciding(self, *, fixed_length: bool) -> dict[str, Any]:
        """Return the settings that decide what a run computes, JSON-able.

        fixed_length: the task's schedules depend on the number of steps, so that it decides too.
        """
        left_out = FREE - ({"steps"} if fixed_length else set())
        return self.model_dump(mode="json", exclude=set(left_out))
