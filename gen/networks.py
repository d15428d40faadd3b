"""The generators and critics by name, with first weights that depend on a seed alone."""

from torch import nn

from flawsmith.errors import InputError
from flawsmith.gen.settings import ARCHS, GenSettings
from flawsmith.gen.shapes import Shape
from flawsmith.train.starting import starting_from


def build_generator(arch: str, shape: Shape, settings: GenSettings, seed: int) -> nn.Module:
    """Return a fresh generator on the CPU (see ``gen.shapes``); raises InputError for no arch.

    arch: a name of ARCHS; of ``settings``, latent, width and strides count.
    """
    _check(arch)
    with starting_from(seed, "generator", arch):
        return _generator(arch, shape, settings)


def build_critic(arch: str, shape: Shape, settings: GenSettings, seed: int) -> nn.Module:
    """Return a fresh critic on the CPU (see ``gen.shapes``); raises InputError for no arch.

    arch: a name of ARCHS; of ``settings``, critic, critic_width, heads, spectral and dropout count.
    """
    _check(arch)
    with starting_from(seed, "critic", arch, settings.critic):
        if settings.critic == "projected":
            return _projected(shape, settings)
        return _critic(arch, shape, settings)


def _check(arch: str) -> None:
    if arch not in ARCHS:
        raise InputError(f"no architecture {arch!r}", mend=f"one of {', '.join(ARCHS)}")


def _generator(arch: str, shape: Shape, settings: GenSettings) -> nn.Module:
    if arch == "stylegan2":
        from flawsmith.gen.stylegan2 import StyleGenerator

        return StyleGenerator(shape, settings.latent, settings.width)
    if arch == "fastgan":
        from flawsmith.gen.fastgan import FastGenerator

        return FastGenerator(shape, settings.latent, settings.width)
    from flawsmith.gen.dcgan import DcganGenerator

    return DcganGenerator(shape, settings.latent, settings.width, settings.strides)


def _critic(arch: str, shape: Shape, settings: GenSettings) -> nn.Module:
    if arch == "stylegan2":
        from flawsmith.gen.stylegan2 import StyleCritic

        return StyleCritic(shape, settings.critic_width)
    if arch == "fastgan":
        from flawsmith.gen.fastgan import FastCritic

        return FastCritic(shape, settings.critic_width)
    from flawsmith.gen.dcgan import DcganCritic

    norm = "layer" if arch == "wgan-gp" else "batch"
    return DcganCritic(shape, settings.critic_width, norm, settings.dropout, settings.spectral)


def _projected(shape: Shape, settings: GenSettings) -> nn.Module:
    from flawsmith.gen.projected import ProjectedCritic
    from flawsmith.train.backbone import SMALLEST, lite0

    if min(shape.size) < SMALLEST:
        raise InputError(
            f"pictures of {shape.width}x{shape.height} are too small for the projected critic",
            mend=f"at least {SMALLEST} a side, or the critic 'own'",
        )
    return ProjectedCritic(lite0(), shape, settings.heads)
