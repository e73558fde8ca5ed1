"""`monobody train --devices N --nodes M`: start the N processes of this machine, and wait for them.

Torch's elastic launcher starts them and passes signals on, as torchrun does; this command then runs again in each, with
its place in the environment. One machine needs nothing else. Of several, each runs the same command, told how to meet
the others by MASTER_ADDR (the first machine's name), MASTER_PORT (29500 where left out) and NODE_RANK (0, 1, ...;
SLURM's own number is understood); docs/scale.md has complete examples.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monobody.errors import UserError

SENTENCES = "MONOBODY_SENTENCES"
"""Environment variable: folder in which launched processes leave what they have to say, so that it is said once."""
SHUTDOWN_S = "600"
"""How long processes that were told to stop may take for the end of their step and the checkpoint."""


def is_launched() -> bool:
    """Tell whether this process was started by a launcher: ours, torchrun, or another that sets the same variables."""
    return "LOCAL_RANK" in os.environ and "WORLD_SIZE" in os.environ


def launch(verb: str, recipe: str, options: Mapping[str, object], *, devices: int, nodes: int, device: str) -> int:
    """Run a verb of the command line in `devices` processes on this machine, of `nodes`; return the exit code.

    Raises:
        UserError: fewer graphics cards than asked for; the environment does not say where the other machines are; or
            what one of the processes raised.
    """
    check_devices(devices, nodes, cards=_cards(recipe, device), cores=cores())
    meeting = _meeting(nodes)
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # The launcher tells of its inner life, and of children's failures, which we do ourselves.
    logging.disable(logging.CRITICAL)
    # It is no news that every parameter is used.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores() // devices, 1)))
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SHUTDOWN_S)
    config = LaunchConfig(
        min_nodes=nodes, max_nodes=nodes, nproc_per_node=devices, run_id="monobody", max_restarts=0, **meeting
    )
    command = ["-m", "monobody.cli", verb, recipe, *_arguments(options)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ[SENTENCES] = folder
        try:
            elastic_launch(config, sys.executable)(*command)
        except SignalException as error:
            raise KeyboardInterrupt(*_sentences(folder)[:1]) from error
        except ChildFailedError as error:
            said = _sentences(folder)
            codes = {failure.exitcode for failure in error.failures.values()}
            if 130 in codes:
                raise KeyboardInterrupt(*said[:1]) from error
            if said:
                raise UserError(said[0]) from error
            print(f"monobody: a training process ended with code {min(codes)}; see above.", file=sys.stderr)
            return 1
        finally:
            del os.environ[SENTENCES]
    return 0


def leave_sentence(error: BaseException) -> bool:
    """Leave an error's sentence for the launching process to say; return False where there is no such process."""
    folder = os.environ.get(SENTENCES)
    if folder is None or not is_launched():
        return False
    from monobody.train.processes import PeerLost

    # Who only lost another process speaks last.
    rank = int(os.environ["LOCAL_RANK"])
    Path(folder, f"{int(isinstance(error, PeerLost))}-{rank:04d}").write_text(str(error))
    return True


def check_devices(devices: int, nodes: int, *, cards: int, cores: int) -> None:
    """Refuse to start more processes than this machine can feed.

    Raises:
        UserError: there are fewer graphics cards than asked for; or none, and fewer cores.
    """
    if devices < 1 or nodes < 1:
        raise UserError(f"--devices {devices} --nodes {nodes} makes no sense: both begin at 1.")
    if 0 < cards < devices:
        have = "1 graphics card" if cards == 1 else f"{cards} graphics cards"
        raise UserError(
            f"--devices {devices} is more than there is: this machine has {have}. Ask for --devices {cards}, or train "
            "on the processor with --device cpu."
        )
    if cards == 0 and devices > cores:
        raise UserError(
            f"--devices {devices} is more than there is: this machine trains on its processor, which has {cores} "
            f"cores. Ask for --devices {cores} at most."
        )


def _meeting(nodes: int) -> dict[str, Any]:
    """Return where the machines of a run meet, for the launcher."""
    if nodes == 1:
        return {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}
    address = os.environ.get("MASTER_ADDR")
    number = os.environ.get("NODE_RANK", os.environ.get("SLURM_NODEID"))
    if address is None or number is None or not number.isdigit() or int(number) >= nodes:
        raise UserError(
            f"--nodes {nodes} needs to know the machines: run this command on each of them, with MASTER_ADDR set to "
            f"the first one's name and NODE_RANK to its own number, 0 to {nodes - 1}."
        )
    port = os.environ.get("MASTER_PORT", "29500")
    return {
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{address}:{port}",
        "rdzv_configs": {"rank": int(number), "timeout": 900},
    }


def _arguments(options: Mapping[str, object]) -> list[str]:
    """Write options as they are typed."""
    arguments: list[str] = []
    for name, value in options.items():
        if value is True:
            arguments.append(f"--{name}")
        elif value is not None and value is not False:
            arguments += [f"--{name}", str(value)]
    return arguments


def _sentences(folder: str) -> list[str]:
    """Return what the processes said, each sentence once."""
    return list(dict.fromkeys(path.read_text() for path in sorted(Path(folder).iterdir())))


def _cards(recipe: str, device: str) -> int:
    import torch

    from monobody.train.recipes import find_recipe

    return 0 if "cpu" in (device, find_recipe(recipe).plan.device) else torch.cuda.device_count()


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
