"""The pretraining methods by name. A new one is a file here, a line here, and a recipe."""

from pretrain.methods.base import Method
from pretrain.methods.byol import Byol
from pretrain.methods.densecl import DenseCl
from pretrain.methods.mls import Mls
from pretrain.methods.moco import Moco
from pretrain.methods.random_init import RandomInit
from pretrain.methods.saliency import Saliency
from pretrain.methods.supervised import Supervised

METHODS: dict[str, type[Method]] = {
    "random_init": RandomInit,
    "supervised": Supervised,
    "moco": Moco,
    "densecl": DenseCl,
    "byol": Byol,
    "mls": Mls,
    "saliency": Saliency,
}
