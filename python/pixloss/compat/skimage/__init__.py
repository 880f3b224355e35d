"""scikit-image's metrics: `from pixloss.compat.skimage import metrics`. By NumPy arrays, without
torch."""
