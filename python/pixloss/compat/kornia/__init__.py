"""kornia 0.9's losses and metrics: `import pixloss.compat.kornia as kornia`."""

from . import losses, metrics

__all__ = ["losses", "metrics"]
