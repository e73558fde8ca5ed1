"""Train on a Ray cluster: every worker of Ray Train is one process of the run (pip install 'monobody[train,ray]').

    python scripts/train_on_ray.py tiny --out /shared/runs/tiny --workers 2 [--gpu] [--data DATA]

Ray starts the workers, on one machine or many, and tells them how to meet; from there on it is `monobody train`. The
folders have to be seen by all machines under the same name. Checkpoints and tables lie in --out as always: a run that
lost a worker, or was stopped, goes on with --resume.
"""

import argparse
from pathlib import Path


def train_one_process(settings: dict) -> None:
    """Run in each of Ray's workers."""
    import ray.train  # pyright: ignore[reportMissingImports]

    from monobody.train.run import train

    state = train(
        settings["recipe"],
        data=Path(settings["data"]) if settings["data"] else None,
        out=Path(settings["out"]),
        resume=settings["resume"],
        device=None if settings["gpu"] else "cpu",
    )
    ray.train.report({"steps": state.step, "minutes": state.seconds / 60})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gpu", action="store_true", help="one graphics card for each worker")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()

    from ray.train import RunConfig, ScalingConfig  # pyright: ignore[reportMissingImports]
    from ray.train.torch import TorchConfig, TorchTrainer  # pyright: ignore[reportMissingImports]

    settings = {
        "recipe": arguments.recipe,
        "data": str(arguments.data.resolve()) if arguments.data else None,
        "out": str(arguments.out.resolve()),
        "resume": arguments.resume,
        "gpu": arguments.gpu,
    }
    trainer = TorchTrainer(
        train_one_process,
        train_loop_config=settings,
        scaling_config=ScalingConfig(num_workers=arguments.workers, use_gpu=arguments.gpu),
        torch_config=TorchConfig(backend="nccl" if arguments.gpu else "gloo"),
        run_config=RunConfig(name="monobody", storage_path=str(arguments.out.resolve() / "ray")),
    )
    print(trainer.fit().metrics)


if __name__ == "__main__":
    main()
