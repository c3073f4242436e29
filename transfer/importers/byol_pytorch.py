"""BYOL as the library byol-pytorch (lucidrains) holds it: the learner's whole state dict.

``net`` is the network that was given to it, and the same tensors lie under ``online_encoder.net``; ``target_encoder``
is the moving average. Its default augmentation normalises with ImageNet's statistics. (What its README saves at the
end, ``resnet.state_dict()`` alone, has torchvision's bare names: then ``--from byol-pytorch`` has to say it.)
"""

from __future__ import annotations

from transfer.importers.family import IMAGENET, Branch, Family

FAMILY = Family(
    name="byol-pytorch",
    title="BYOL (byol-pytorch)",
    rule="net.*, the same as online_encoder.net.*",
    branches=(
        Branch("online", ("online_encoder.net.", "net.")),
        Branch("target", ("target_encoder.net.",)),
    ),
    why="the network that was handed in is the online one, which the library's README saves for transfer",
    left_out="net.fc, online_encoder.projector, online_predictor, target_encoder, optimiser",
    preprocessing=IMAGENET,
    preprocessing_why="the default augmentation of byol_pytorch.py normalises with ImageNet's statistics",
    source="lucidrains/byol-pytorch: byol_pytorch/byol_pytorch.py",
    method="byol",
    needs=(("online_encoder.net.",),),
    beside=("online_encoder.projector.", "target_encoder.projector.", "online_predictor."),
)
