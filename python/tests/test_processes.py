"""Processes and threads: data loaders' workers, forks after threads have computed, many threads on
one loss, OpenMP runtimes."""

import subprocess
import sys
import threading

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pixloss.torch as pt  # noqa: E402
from conftest import MIX  # noqa: E402

torch.manual_seed(2)
P, T = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)


class Scored(torch.utils.data.Dataset):
    """A data set whose workers evaluate the loss that they inherited or unpickled."""

    def __init__(self, loss):
        self.loss = loss

    def __len__(self):
        return 6

    def __getitem__(self, i):
        p = P.clone().requires_grad_()
        total = self.loss(p, T)
        total.backward()
        return total.detach() * (i + 1), p.grad.sum()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_data_loaders(method):
    loss = pt.Loss(MIX)
    p = P.clone().requires_grad_()
    expected = loss(p, T)  # the parent has computed with all its threads when it forks
    expected.backward()
    loader = torch.utils.data.DataLoader(
        Scored(loss), batch_size=3, num_workers=2, multiprocessing_context=method, timeout=100
    )
    totals, sums = (torch.cat(column) for column in zip(*loader))
    torch.testing.assert_close(totals, expected.detach() * torch.arange(1, 7))
    torch.testing.assert_close(sums, p.grad.sum().expand(6))


def test_threads_share_a_loss():
    loss = pt.Loss(MIX)
    wrong = []
    images = [(torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)) for size in (32, 48, 64)]

    def gradient(pred, target):
        pred = pred.clone().requires_grad_()
        loss(pred, target).backward()
        return pred.grad

    expected = [gradient(*pair) for pair in images]

    def work(start):
        for i in range(60):
            k = (start + i) % 3
            if not torch.equal(gradient(*images[k]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "order", ["import pixloss, torch", "import pixloss; pixloss.version(); import torch"]
)
def test_either_may_be_imported_first(order):
    code = (
        f"{order}\nimport pixloss.torch as pt\n"
        "p = torch.rand(1, 3, 256, 256, requires_grad=True)\n"
        "for _ in range(3): (pt.ssim(p, torch.zeros(1, 3, 256, 256)) + "
        "torch.sigmoid(p).mean()).backward()\n"
        "print(p.grad.isfinite().all().item())"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100
        ).stdout
        == "True\n"
    )


def test_torch_and_pixloss_use_one_openmp_runtime():
    code = (
        "import torch, pixloss.torch as pt, re\npt.ssim(torch.rand(1, 3, 64, 64), torch.rand(1, "
        "3, 64, 64))\n"
        "print(len(set(re.findall(r'/\\S*lib[gi]omp\\S*', open('/proc/self/maps').read()))))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=100
        ).stdout
        == "1\n"
    )
