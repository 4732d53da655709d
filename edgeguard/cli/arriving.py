"""What a device asks of a release before it is installed: all that `edgeguard run` would ask, of every policy in it.

Admits and forgets: what runs is admitted again, from its own bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission.loading import admit_models
from edgeguard.admission.store import admit_bundle
from edgeguard.admission.trust import Demands, Trust
from edgeguard.policy import load_policy

if TYPE_CHECKING:
    from edgeguard.here import Device

_POLICY = (".yaml", ".yml")


def check_release(folder: Path, trust: Trust, device: Device) -> None:
    """Admit every policy of a release with its models and calibration, and every bundle that no policy names.

    Raises:
        AdmissionError, PolicyError, ContractError: as `edgeguard run` would.
        UsageError: a policy names a key or file that is not there.
    """
    admitted: set[str] = set()
    for path in _files(folder / "policies"):
        if path.suffix in _POLICY:
            loaded = load_policy(path, trust=trust, device=device)
            terms, models = loaded.program.admission, loaded.program.models
            admit_models(
                models,
                terms,
                now=device.now(terms),
                floor=device.floor,
                secrets=device.secrets(terms),
                platform=device.platform,
            )
            admitted |= {str(Path(model.path).resolve()) for model in models}
    for bundle in _files(folder / "models"):
        if str(bundle.resolve()) not in admitted:
            admit_bundle(bundle, trust, Demands(revoked=trust.revoked), now=device.now())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir()) if folder.is_dir() else []
