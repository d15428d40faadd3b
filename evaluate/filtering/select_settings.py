"""What decides the selection of whole generated pictures; loads no torch."""

from pydantic import Field

from flawsmith.settings import Settings


class SelectSettings(Settings):
    """How strict the selection of whole pictures is."""

    seed: int = Field(0, ge=0, strict=True, description="of the halves of the real pictures")
    keep: float = Field(
        0.95,
        ge=0.5,
        lt=1,
        description="share of real pictures of other parts that would pass as real",
    )
    copies: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="nearer than this share of the usual distance between real pictures of two "
        "parts is a near copy",
    )
    count: int | None = Field(
        None, ge=1, strict=True, description="keep the most real ones of those that pass, at most"
    )
