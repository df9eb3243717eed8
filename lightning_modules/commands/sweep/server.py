"""A sweep on W&B's server: made there, and worked on by agents here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lightning_modules.commands.front.early.wandb_account import check_wandb_account
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.sweep.plan import KEYS, Plan, plan_of

PROJECT = "appraise"  # as in _parts/logger/wandb


def check_account(otherwise: str = "") -> None:
    """Find out whether W&B knows who we are, without asking it.

    Args:
        otherwise: What else to do, as the end of a sentence.

    Raises:
        CommandLineError: If it does not.
    """
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun", "disabled"):
        raise CommandLineError(
            f"WANDB_MODE is {os.environ['WANDB_MODE']}, but a sweep of W&B needs its server: unset it{otherwise}"
        )
    check_wandb_account(otherwise)


def hand_over(plan: Plan, count: int | None, jobs: int) -> int:
    """Make the sweep on the server and work on it.

    Args:
        plan: The sweep.
        count: Points to train here; None for as many as the server gives.
        jobs: Agents, each of which trains one point at a time.

    Returns:
        Exit code: the highest of the agents.

    Raises:
        CommandLineError: If the server refuses the sweep.
    """
    import wandb

    project, entity = str(plan.content.get("project", PROJECT)), plan.content.get("entity")
    try:
        number = wandb.sweep(dict(plan.content), project=project, entity=None if entity is None else str(entity))
    except (wandb.Error, OSError, ValueError) as error:
        raise CommandLineError(f"W&B refused the sweep: {' '.join(str(error).split())}") from error
    # The agents run `python`: it shall be this one.
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    place = ["--project", project, *(["--entity", str(entity)] if entity else [])]
    agents = []
    for share in shares(count, jobs):
        limit = [] if share is None else ["--count", str(share)]
        command = [sys.executable, "-m", "wandb", "agent", *place, *limit, number]
        agents.append(subprocess.Popen(command, env={**os.environ, **own}))
    return max(agent.wait() for agent in agents)


def plan_on_server(name: str) -> tuple[str, Plan]:
    """Look a sweep up on the server.

    Args:
        name: ``ID``, ``PROJECT/ID`` or ``ENTITY/PROJECT/ID``.

    Returns:
        Its whole name, and what it is.

    Raises:
        CommandLineError: If there is none, or its agents would start it with something else than ``python``.
    """
    import wandb

    path = name if "/" in name else f"{PROJECT}/{name}"
    try:
        sweep = wandb.Api().sweep(path)  # type: ignore[no-untyped-call]  # wandb has no types here
        found = "/".join((sweep.entity, sweep.project, sweep.id))
        content = {key: value for key, value in sweep.config.items() if key in KEYS[""]}
    except (wandb.Error, OSError, ValueError) as error:
        raise CommandLineError(f"W&B has no sweep {path} for this account ({' '.join(str(error).split())})") from error
    plan = plan_of(content, Path(found))
    if next(word for word in plan.command if word != "${env}") not in ("${interpreter}", "python"):
        raise plan.error(f"its command begins with {plan.command[0]}, but a job needs ${{interpreter}} or python there")
    return found, plan


def shares(count: int | None, jobs: int) -> list[int | None]:
    """How many points each agent trains.

    Example:
        >>> shares(5, 2), shares(1, 2), shares(None, 2)
        ([3, 2], [1], [None, None])
    """
    if count is None:
        return [None] * jobs
    return [count // jobs + (place < count % jobs) for place in range(min(jobs, count))]
