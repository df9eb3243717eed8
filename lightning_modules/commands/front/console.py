"""What the terminal shows: progress and notes on stderr, results on stdout, no third-party chatter."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from typing import TextIO

from lightning_modules.commands.front.run_folder import is_first_process

RESULTS = "appraise.results"  # logger of lines that are a command's answer; they go to stdout

# Messages of libraries that say nothing about the user's run, with the reason for hiding each.
_HIDDEN_LINES = (
    "💡 Tip:",  # Lightning advertises its cloud products
    "Detected KeyboardInterrupt",  # the command says so in its last line
    "GPU available:",  # one line an accelerator kind, all False on a CPU; run.json names the device
    "TPU available:",
    "HPU available:",
    "Loading `train_dataloader` to estimate number of stepping batches",  # how a schedule learns its length
    "Restoring states from the checkpoint path at",  # `goes on from step ...` says so
    "Restored all states from the checkpoint at",  # likewise
    "Loaded model weights from the checkpoint at",  # `weights of ...` says so
    "Running in `fast_dev_run` mode",  # `a trial run ...` says so
    "`Trainer(",  # repeats a limit that was asked for; config.yaml holds it
    "Initializing distributed: GLOBAL_RANK",  # the model's line says how many processes there are
    "-" * 20,  # frames the line on processes, which comes with it
    "distributed_backend=",  # config.yaml holds the strategy
    "Seed set to",  # run.json and config.yaml hold the seed
    "Trainer already configured with model summary callbacks",  # our own choice of summary, see `bars_and_summary`
    "`Trainer.fit` stopped: `max_epochs=",  # the normal end
    "`Trainer.fit` stopped: `max_steps=",  # likewise
    "Using bfloat16 Automatic Mixed Precision",  # what was asked for; config.yaml holds it
    "Using 16bit Automatic Mixed Precision",  # likewise
)
_HIDDEN_WARNINGS = (
    r".*does not have many workers.*",  # num_workers is an option with its own help; 0 is right on few cores
    r".*worker processes in total.*",  # likewise
    r".*is not supported by the model summary.*",  # its size in megabytes, which nobody asked for
    r".*srun. command is available on your system but is not used.*",  # Slurm is installed, but this is no job
    r"(?s).*JsonargparseDeprecationWarning.*",  # Lightning 2.6 calls what jsonargparse 5 removes; our bound is < 5
    r"(?s).*was deprecated in v4\.\d+\.\d+ and will\s+be\s+removed in\s+v5.*",  # likewise
    r".*LeafSpec.*deprecated.*",  # Lightning 2.6 calls an old name of torch's pytree
    r".*Experiment logs directory .* exists and is not empty.*",  # the run's own folder: config.yaml is there first
    r".*Checkpoint directory .* exists and is not empty.*",  # likewise
    r".*The number of training batches .* is smaller than the logging interval.*",  # tiny demo; epochs are logged too
    r".*It is recommended to use .*sync_dist=True.* when logging on epoch level.*",  # metric objects do it themselves
    r".*callbacks used to create the checkpoint need to be provided.*",  # a prediction has other callbacks than a fit
    r"Total length of `DataLoader` across ranks is zero.*",  # a resumed prediction with nothing left to do
    r".*torch\.distributed\.nn\.functional\.all_gather is deprecated.*",  # torch's own advice to whoever calls it
    r"Glyph \d+ .* missing from font.*",  # our own line names the characters, and what to install
    r"The dirpath has changed from.*",  # a resumed run, and a test, write to a folder of their own
)


_LIGHTNING = ("lightning", "lightning.pytorch", "lightning.fabric")


class _NoChatter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = re.sub(r"^\[rank: \d+\] ", "", record.getMessage().lstrip())
        return not text.startswith(_HIDDEN_LINES)


class _Lines(logging.StreamHandler[TextIO]):
    """Lines to a stream; one that cannot be written is told of when the command ends, not with a traceback a line."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up_console() -> None:
    """Route all loggers: results to stdout, the rest to stderr; other processes than the first only warn."""
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # not each retry twice; the last error is ours to say
    level = logging.INFO if is_first_process() else logging.WARNING
    notes, results = _Lines(sys.stderr), _Lines(sys.stdout)
    notes.addFilter(_NoChatter())
    root = logging.getLogger()
    kept = [handler for handler in root.handlers if type(handler) not in (logging.StreamHandler, _Lines)]
    root.handlers = [*kept, notes]
    root.setLevel(logging.WARNING)
    for name in (*_LIGHTNING, "huggingface_hub", "transformers"):  # they bring handlers of their own
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in _LIGHTNING:
        logging.getLogger(name).setLevel(level)
    for name in ("lightning_modules", "datamodules", "callbacks", "appraise"):
        logging.getLogger(name).setLevel(level)
    answers = logging.getLogger(RESULTS)
    answers.handlers, answers.propagate = [results], False
    for pattern in _HIDDEN_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: object = None,
) -> None:
    """One line a warning, without the source line that Python adds."""
    text = " ".join(str(message).split())
    logging.getLogger("appraise").warning("warning: %s", text)
