"""BYOL as PyTorch-BYOL (sthalles) saves it: three state dicts side by side, the network a numbered ``Sequential``.

``online_network_state_dict`` and ``target_network_state_dict`` hold ``encoder.0.weight`` (conv1), ``encoder.1.*``
(bn1), ``encoder.4.*`` to ``encoder.7.*`` (layer1 to layer4) and the MLP ``projetion``. Others save under the same keys;
that spelling is the mark. The branch is the online network, whose encoder the code saves once more for transfer. Its
views end in ``ToTensor()``: pixels are scaled to 0-1 and *not* normalised.
"""

from __future__ import annotations

from transfer.importers.family import SCALED_ONLY, Branch, Family
from transfer.importers.names import of_sequential

FAMILY = Family(
    name="pytorch-byol",
    title="BYOL (PyTorch-BYOL)",
    rule="online_network_state_dict: encoder.0.*, encoder.1.*, encoder.4.* to encoder.7.*, beside projetion.*",
    branches=(
        Branch("online", ("online_network_state_dict.encoder.",)),
        Branch("target", ("target_network_state_dict.encoder.",)),
    ),
    why="the online encoder is the one that the code saves for transfer and that BYOL's paper evaluates",
    left_out="projetion (MLP head), target_network_state_dict, encoder_state_dict, optimiser",
    preprocessing=SCALED_ONLY,
    preprocessing_why="data/transforms.py ends in ToTensor(), without Normalize",
    source="sthalles/PyTorch-BYOL: trainer.py, models/resnet_base_network.py",
    method="byol",
    needs=(("online_network_state_dict.projetion.",),),
    beside=(
        *("online_network_state_dict.projetion.", "target_network_state_dict.projetion."),
        *("encoder_state_dict.", "predictor_state_dict."),
    ),
    rename=of_sequential,
)
