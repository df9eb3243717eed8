"""The same progress under its former name; it lives in `datamodules.common.progress`."""

from datamodules.common.progress import file_progress as file_progress
