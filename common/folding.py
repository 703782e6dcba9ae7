"""Batch norms folded into the convolutions before them: the same results in eval mode, faster."""

from itertools import pairwise

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval


def fold_norms(network: nn.Module, he: bool = False) -> nn.Module:
    """The network in eval mode with each BatchNorm2d right behind a Conv2d folded into it, in place.

    ``he`` first draws new weights for these convolutions, as He et al. 2015 (arXiv 1502.01852) do.
    """
    for module in list(network.modules()):
        names = list(module._modules)
        for before, name in pairwise(names):
            conv, norm = module._modules[before], module._modules[name]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                if he:
                    nn.init.kaiming_normal_(conv.weight)
                module._modules[before] = fuse_conv_bn_eval(conv, norm)
                module._modules[name] = nn.Identity()
    return network
