"""Where the Inception weights of FID lie; no torch, unless they must be downloaded.

The file is pytorch-fid's port of the network that the first FID implementation used (Heusel et al.,
arXiv 1706.08500). Only distances between its features may be called FID.
"""

import os
import sys
from http.client import HTTPException
from pathlib import Path

from flawsmith.errors import InputError
from flawsmith.progress import say
from flawsmith.train.weights import file_sha256

NAME = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
TRUSTED = {SHA256: f"{NAME} of pytorch-fid"}
VARIABLE = "FLAWSMITH_INCEPTION"
MEND = (
    f"get {NAME} from the release 'fid_weights' of pytorch-fid on GitHub and pass it with "
    f"--weights or {VARIABLE}, or use --features lite0"
)


def inception_file(weights: Path | None = None) -> Path:
    """Return the weights file: the argument, else FLAWSMITH_INCEPTION's, else torch hub's copy.

    The last is downloaded if it is not there or damaged. Raises InputError if that fails.
    """
    path, named = place_of(weights)
    if named:
        if not path.is_file():
            raise InputError("no Inception weights there", where=path, mend=MEND)
        return path
    if not path.is_file() or file_sha256(path) != SHA256:
        _download(path)
    return path


def place_of(weights: Path | None = None) -> tuple[Path, bool]:
    """Return where the weights file is looked for, and whether somebody named that place."""
    named = weights or os.environ.get(VARIABLE)
    if named:
        # Path.expanduser would raise for a user who does not exist.
        return Path(os.path.expanduser(named)), True  # noqa: PTH111
    return hub_folder() / "checkpoints" / NAME, False


def hub_folder() -> Path:
    """Return torch hub's folder, as ``torch.hub.get_dir`` does, without importing torch."""
    if "torch" in sys.modules:
        import torch.hub

        return Path(torch.hub.get_dir())
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{cache}/torch")
    # Path.expanduser would raise for a user without a home folder.
    return Path(os.path.expanduser(home)) / "hub"  # noqa: PTH111


def _download(path: Path) -> None:
    """Fetch the file into torch hub's folder; it appears there only whole and of the right hash."""
    from pytorch_fid.inception import FID_WEIGHTS_URL  # type: ignore[import-untyped]
    from torch.hub import download_url_to_file

    say(f"downloading {NAME} (95 MB) from pytorch-fid's release")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        download_url_to_file(FID_WEIGHTS_URL, str(path), SHA256, progress=sys.stderr.isatty())
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(
            f"the Inception weights {NAME} are not here and could not be downloaded: {error}",
            mend=MEND,
        ) from error
