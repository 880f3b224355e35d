"""TensorFlow's and old MONAI's numbers: `known_elsewhere.py tensorflow|old-monai`, each in an environment of its own, prints
{case: {name: number}} as JSON, which make_known_values.py reads."""
import json
import os
import sys

import numpy as np
from known_images import load

TENSORFLOW_CASES = ["astronaut", "camera", "coffee", "chelsea", "batch", "odd"]
OLD_MONAI_CASES = ["astronaut", "camera", "chelsea", "batch", "small"]


def tensorflow_numbers():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    from tensorflow.python.ops import image_ops_impl

    def ssim64(x, y, *options):
        """tf.image.ssim without its conversion to float32: what it calls; a mean over images and channels."""
        return float(tf.reduce_mean(image_ops_impl._ssim_per_channel(x, y, 1.0, *options)[0]))  # pylint: disable=protected-access

    def ms_ssim64(x, y):
        """tf.image.ssim_multiscale without its conversion to float32, from the same parts."""
        factors = []
        for scale, _ in enumerate(image_ops_impl._MSSSIM_WEIGHTS):  # pylint: disable=protected-access
            if scale > 0:
                odd = [[0, 0], [0, x.shape[1] % 2], [0, x.shape[2] % 2], [0, 0]]
                x, y = (tf.nn.avg_pool(tf.pad(a, odd, "SYMMETRIC"), 2, 2, "VALID") for a in (x, y))
            similarity, cs = image_ops_impl._ssim_per_channel(x, y, 1.0, 11, 1.5, 0.01, 0.03)  # pylint: disable=protected-access
            factors.append(tf.nn.relu(cs))
        factors[-1] = tf.nn.relu(similarity)
        weights = tf.constant(image_ops_impl._MSSSIM_WEIGHTS, tf.float64)  # pylint: disable=protected-access
        return float(tf.reduce_mean(tf.reduce_prod(tf.pow(tf.stack(factors, -1), weights), -1)))

    numbers = {"version": tf.__version__}
    for name in TENSORFLOW_CASES:
        x, y = (tf.constant((a / 255.0).transpose(0, 2, 3, 1)) for a in load(name))
        numbers[name] = {
            "ssim": float(np.mean(tf.image.ssim(x, y, max_val=1.0).numpy().astype(np.float64))),
            "ssim in float64": ssim64(x, y, 11, 1.5, 0.01, 0.03), "ssim 7 taps in float64": ssim64(x, y, 7, 1.0, 0.01, 0.03),
            "ms_ssim": float(np.mean(tf.image.ssim_multiscale(x, y, max_val=1.0).numpy().astype(np.float64))),
            "ms_ssim in float64": ms_ssim64(x, y),
            "psnr": float(np.mean(tf.image.psnr(x, y, max_val=1.0).numpy().astype(np.float64))),
            "total_variation": float(np.mean(tf.image.total_variation(x).numpy().astype(np.float64))),
            "sobel_edges": float(np.sum(np.mean(np.abs(tf.image.sobel_edges(x - y).numpy()), axis=(0, 1, 2, 3))))}
    return numbers


def old_monai_numbers():
    import monai
    import torch
    from monai.losses.ssim_loss import SSIMLoss

    numbers = {"version": monai.__version__}
    for name in OLD_MONAI_CASES:
        x, y = (torch.from_numpy(a / 255.0) for a in load(name))
        one = torch.ones(1, dtype=torch.float64)
        for kind, dtype in (("float window", torch.float32), ("double", torch.float64)):
            torch.set_default_dtype(dtype)  # of the window that SSIMLoss makes
            losses = [SSIMLoss()(x[n:n + 1], y[n:n + 1], one).item() for n in range(len(x))]
            numbers.setdefault(name, {})[kind] = float(np.mean(losses))
    return numbers


if __name__ == "__main__":
    print(json.dumps(tensorflow_numbers() if sys.argv[1] == "tensorflow" else old_monai_numbers()))
