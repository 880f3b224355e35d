"""pixloss for torch: losses as modules and functions, in eager mode and under torch.compile.

    loss = pixloss.torch.Loss("0.84*ssim + 0.16*l1")
    loss(pred, target).backward()
    log(loss.terms)                                            # {"ssim": ..., "l1": ...}

    pixloss.torch.ssim(pred, target, window=7)                 # a function for each term
    loss(pred, target, term_weights=torch.exp(-s)) + s.sum()   # learnt weights

Importing this module imports torch first, so that both use one OpenMP runtime.
"""

import torch as _torch  # noqa: F401  before the library

from ._functions import FUNCTIONS as _FUNCTIONS
from ._module import Loss

globals().update(_FUNCTIONS)
__all__ = ["Loss", *_FUNCTIONS]
