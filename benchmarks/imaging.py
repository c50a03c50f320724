"""Cost of the imaging arm: preprocessing a patient, an epoch on cached maps and without them, folds together and alone.

``python -P benchmarks/imaging.py`` from the repository root; ``--device cuda`` where there is one, ``--quick`` for a
smaller network on fewer pictures. Pictures are noise: none of the times hangs on what they show. Where SimpleITK and
nibabel are not installed, preprocessing is left out; otherwise torch, MONAI, numpy, scipy and joblib are needed.

An epoch is one pass over the training pictures of one head. *Uncached* runs the whole network for every picture and
trains the same layers; *everything* also trains the trunk. All sides compute in single precision.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from relapse.imaging.encoder.asking import predict_heads  # noqa: E402
from relapse.imaging.encoder.head import start  # noqa: E402
from relapse.imaging.encoder.maps import Maps, make_maps, trunk  # noqa: E402
from relapse.imaging.encoder.network import DENSENET121, Architecture, Encoder, build  # noqa: E402
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, _Heads  # noqa: E402
from relapse.imaging.slices import Picture  # noqa: E402

#: MAMA-MIA: patients in all, and those with a known course whom the published study trained on.
ALL, STUDY = 1506, 433


def cox_columns(target: np.ndarray, balanced: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    order = np.argsort(-target["time"], kind="stable")
    event = target["event"][order].astype(float)
    return order, {"event": event / max(event.sum(), 1), "present": np.ones(len(order))}


def cox_value(output: torch.Tensor, columns: dict[str, torch.Tensor]) -> torch.Tensor:
    masked = torch.where(columns["present"] > 0, output, torch.full_like(output, -1e9))
    return -(columns["event"] * (output - torch.logcumsumexp(masked, 1))).sum(1)


#: Cox partial likelihood without ties; the library's own would need more packages than the machine with a GPU has.
COX = SimpleNamespace(columns=cox_columns, value=cox_value)


def seconds(device: str, call: Callable[[], Any], repeats: int = 1) -> float:
    """Shortest time of a call, the device's work included."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    times = []
    for _ in range(repeats):
        wait()
        begun = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - begun)
    return min(times)


def show(what: str, value: str, note: str = "") -> None:
    print(f"{what:<58}{value:>14}  {note}".rstrip(), flush=True)


def some_pictures(count: int, size: int) -> list[Picture]:
    rng = np.random.default_rng(0)
    mask, width = np.ones((1, size, size), bool), np.ones(1, np.float32)
    return [Picture(rng.standard_normal((1, 3, size, size)).astype(np.float16), mask, width) for _ in range(count)]


def some_tasks(count: int, pictures: int) -> list[HeadTask]:
    made = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        target = np.empty(pictures, dtype=[("event", bool), ("time", float)])
        target["event"], target["time"] = np.arange(pictures) % 4 == 0, rng.exponential(size=pictures)
        made.append(HeadTask(rng.permutation(pictures), target, np.arange(pictures) % 5 == 4, seed))
    return made


def uncached_epoch(
    encoder: Encoder, pictures: list[Picture], task: HeadTask, batch: int, device: str, *, all_layers: bool
) -> None:
    """A plain training loop over pictures: the trunk without gradients, or with them."""
    module, loss = encoder.module.to(device), COX
    features = module.features
    block = list(features.get_submodule(f"denseblock{len(encoder.architecture.blocks)}").children())
    top = (*block[len(block) - encoder.depth :], features.norm5, module.class_layers.out)
    free = list(module.parameters()) if all_layers else [one for part in top for one in part.parameters()]
    for one in free:
        one.requires_grad_(True)
    optimiser = torch.optim.AdamW(free, lr=3e-4)
    places = np.flatnonzero(~task.held)
    for first in range(0, len(places), batch):
        mine = places[first : first + batch]
        order, columns = loss.columns(task.target[mine], False)
        images = np.concatenate([pictures[row].channels for row in task.rows[mine][order]]).astype(np.float32)
        given = {name: torch.from_numpy(one)[None].to(device, torch.float32) for name, one in columns.items()}
        optimiser.zero_grad()
        shown = torch.from_numpy(images).to(device)
        if all_layers:
            output = module(shown)
        else:
            with torch.no_grad():
                shown = trunk(encoder, shown)
            for part in top[:-1]:
                shown = part(shown)
            output = module.class_layers(shown)
        loss.value(output[:, 0][None], given).sum().backward()
        optimiser.step()
    module.requires_grad_(False)
    module.to("cpu")


def training(device: str, quick: bool) -> None:
    architecture = Architecture(blocks=(2, 4, 6, 8)) if quick else DENSENET121
    size, heads = (96, 10) if quick else (224, 25)
    count = 433 if device == "cuda" else 60 if quick else 48
    batch = 32
    encoder = build(None, architecture=architecture)
    pictures = some_pictures(count, size)
    name = f"DenseNet of {architecture.layers} layers, {encoder.depth} dense layers trained"
    print(f"\n{name}; {count} pictures of {size} × {size}, {heads} heads, batches of {batch}")

    encoder.module.to(device)
    make_maps(encoder, pictures[0], 4, device=device)
    made: list[np.ndarray] = []
    once = seconds(device, lambda: made.extend(make_maps(encoder, one, 4, device=device) for one in pictures))
    encoder.module.to("cpu")
    maps = Maps(np.stack(made), round(made[0].shape[2] ** 0.5))
    each = maps.values[0].nbytes / 2**20
    show(
        "trunk, once: 4 views a picture",
        f"{once / count:.3f} s",
        f"{each:.1f} MiB kept a picture; {once:.1f} s in all",
    )

    tasks, schedule, beginning = some_tasks(heads, count), HeadSchedule(batch=batch), start(encoder)

    def epoch(some: list[HeadTask], schedule: HeadSchedule = schedule) -> float:
        state = _Heads(maps, beginning, COX, some, schedule, device)
        state.epoch()
        return seconds(device, state.epoch, 2)

    rows = int((~tasks[0].held).sum())
    one = epoch(tasks[:1])
    # The first step also chooses the convolutions' algorithms.
    warm = HeadTask(tasks[0].rows[:batch], tasks[0].target[:batch], tasks[0].held[:batch], 0)

    def uncached(*, all_layers: bool) -> float:
        uncached_epoch(encoder, pictures, warm, batch, device, all_layers=all_layers)
        return seconds(
            device, lambda: uncached_epoch(encoder, pictures, tasks[0], batch, device, all_layers=all_layers)
        )

    frozen, full = uncached(all_layers=False), uncached(all_layers=True)
    show("epoch of one head on cached maps", f"{one:.3f} s", f"{rows} training pictures")
    show("the same, uncached: trunk frozen", f"{frozen:.3f} s", f"{frozen / one:.1f}x")
    show("the same, uncached: everything trained", f"{full:.3f} s", f"{full / one:.1f}x")
    # What trains everything also changes the trunk: what follows begins from the first weights again.
    encoder = build(None, architecture=architecture)

    alone = sum(epoch([task]) for task in tasks[:5]) / 5 * heads
    best = alone
    for together in (3, heads):
        batched = epoch(tasks[:together]) * heads / together
        best = min(best, batched)
        show(
            f"epoch of {heads} heads, {together} at once",
            f"{batched:.3f} s",
            f"{alone / batched:.2f}x one after another ({alone:.3f} s)",
        )

    double = HeadSchedule(batch=batch, double=True)
    show(f"epoch of {heads} heads in double precision, 5 at once", f"{epoch(tasks[:5], double) * heads / 5:.3f} s")
    state = _Heads(maps, beginning, COX, tasks[:5], schedule, device)
    single = [_Heads(maps, beginning, COX, [task], schedule, device) for task in tasks[:5]]
    for trained in (state, *single):
        trained.epoch()
    given = [[leaf[place].detach().cpu().numpy() for leaf in state.leaves] for place in range(5)]
    given += [[leaf[0].detach().cpu().numpy() for leaf in one.leaves] for one in single]
    found = predict_heads(maps, beginning[1], given, np.arange(count), device=device)
    show(
        "largest difference of a log-hazard, at once and alone",
        f"{np.abs(found[:5] - found[5:]).max():.0e}",
        "after one epoch",
    )
    with torch.inference_mode():
        images = torch.from_numpy(np.concatenate([item.channels for item in pictures[:8]]).astype(np.float32))
        plain = encoder.module(images)[:, 0].numpy()
    kept = predict_heads(maps, beginning[1], [beginning[0]], np.arange(8), device=device)[0]
    show(
        "largest difference, cached and uncached",
        f"{np.abs(plain - kept).max():.0e}",
        "untrained head; uncached on the CPU",
    )

    per_row = best / (rows * heads)
    epochs, sets = 20, 5
    cost = STUDY * 0.8 * 0.8 * heads * epochs * per_row
    show(
        f"projected: trunk of {ALL:,} patients, 4 views",
        f"{ALL * once / count / 60:.1f} min",
        f"{ALL * each / 1024:.1f} GiB kept",
    )
    show(
        f"projected: {heads} heads, {epochs} epochs, {STUDY} patients",
        f"{cost / 60:.1f} min",
        f"a set of hyperparameters; {sets} sets: {sets * cost / 60:.0f} min",
    )
    uncached = frozen / rows * STUDY * 0.64 * heads * epochs
    show("the same, uncached", f"{uncached / 60:.1f} min")
    if device == "cuda":
        show("peak memory of the GPU", f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def preprocessing(quick: bool) -> None:
    if any(find_spec(name) is None for name in ("SimpleITK", "nibabel", "pydicom")):
        print("\npreprocessing: left out, since SimpleITK, nibabel or pydicom is not installed")
        return
    from relapse.imaging.phantoms import Phantoms

    shapes = {"128 × 128 × 40": (128, 128, 40)} | ({} if quick else {"384 × 384 × 120": (384, 384, 120)})
    print("\npreprocessing, one worker with one thread, 3 phases")
    for label, shape in shapes.items():
        with tempfile.TemporaryDirectory() as folder:
            _preprocessed(label, Phantoms(patients=3 if shape[0] == 128 else 1, shape=shape), Path(folder))


def _preprocessed(label: str, phantoms: Any, root: Path) -> None:
    from relapse.cohorts.declared.images import Correction, Preprocessing
    from relapse.imaging.cache import address, make
    from relapse.imaging.phantoms import write_phantoms
    from relapse.imaging.reading.layout import Layout
    from relapse.imaging.stored import write_picture
    from relapse.machinery import Machinery

    machine = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="threading")
    drawing = seconds("cpu", lambda: write_phantoms(phantoms, root, machine)) / phantoms.patients
    show(f"{label}, drawing the phantom", f"{drawing:.2f} s", "a patient")
    layout = Layout(root)
    studies = [layout.study(name, (0, 1, "last")) for name in layout.patients()]

    def run(declared: Any) -> None:
        for study in studies:
            write_picture(root / "cache", address(study, (0, 1, "last"), declared), make(study, declared))

    for words, correction in (("no N4", None), ("N4 of the slice", Correction())):
        declared = Preprocessing(correction=correction)
        taken = seconds("cpu", lambda declared=declared: run(declared)) / phantoms.patients
        note = f"a patient; {ALL:,}: {ALL * taken / 7200:.1f} h with 2 workers"
        show(f"{label}, {words}", f"{taken:.2f} s", note)
    before, highest = peak(root)
    show(f"{label}, peak memory of a worker", f"{highest} MiB", f"{before} MiB of it before its first patient")


PEAK = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import nibabel
import scipy.ndimage
import SimpleITK

from relapse.cohorts.declared.images import Preprocessing
from relapse.imaging.cache import make
from relapse.imaging.reading.layout import Layout


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))


before = peak()
make(Layout(Path(sys.argv[2])).study("PHANTOM_0001", (0, 1, "last")), Preprocessing())
print(before, peak())
"""


def peak(root: Path) -> tuple[int, int]:
    """MiB of a process that does nothing but preprocess one patient: once everything is imported, and at its peak."""
    command = [sys.executable, "-c", PEAK, str(ROOT / "src"), str(root)]
    before, highest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(before), int(highest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="a smaller network on fewer pictures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    card = torch.cuda.get_device_name() if given.device == "cuda" else "one thread of this machine's CPU"
    print(f"device: {card}; torch {torch.__version__}")
    training(given.device, given.quick)
    preprocessing(given.quick)


if __name__ == "__main__":
    main()
