"""What a run leaves on disk, and how it is read back. Imports no torch."""

from lit_dl.records.checkpoints import checksum_file, is_damaged, whole_checkpoints, write_checkpoint
from lit_dl.records.config import (
    named_choices,
    overrides_to_resume,
    read_choices,
    read_config,
    read_overrides,
    write_config,
)
from lit_dl.records.curves import CurvesRecord, read_curves, write_curves
from lit_dl.records.environment import describe_environment
from lit_dl.records.files import (
    BEST,
    CHECKPOINTS,
    CRASH_FILE,
    CURVES_FILE,
    HYDRA_FOLDER,
    LAST,
    LOCK_FILE,
    LOG_FILE,
    METRICS_FILE,
    RECEIPT_FILE,
    STOP_FILE,
    SWEEP_FILE,
    last_checkpoint,
    remove_parts,
    replacing,
    write_text,
)
from lit_dl.records.finding import Advice, Finding, Kind
from lit_dl.records.folders import check_there, close_log, file_name, new_folder, withdraw
from lit_dl.records.lock import alone_in, is_first, is_running, process_number, started_processes
from lit_dl.records.reading import parse_yaml
from lit_dl.records.run import GOOD, RunRecord, Status, read_run, write_run
from lit_dl.records.sweep import SweepRecord, read_sweep, write_sweep
from lit_dl.records.visible import shortened, visible

__all__ = [
    "BEST",
    "CHECKPOINTS",
    "CRASH_FILE",
    "CURVES_FILE",
    "GOOD",
    "HYDRA_FOLDER",
    "LAST",
    "LOCK_FILE",
    "LOG_FILE",
    "METRICS_FILE",
    "RECEIPT_FILE",
    "STOP_FILE",
    "SWEEP_FILE",
    "Advice",
    "CurvesRecord",
    "Finding",
    "Kind",
    "RunRecord",
    "Status",
    "SweepRecord",
    "alone_in",
    "check_there",
    "checksum_file",
    "close_log",
    "describe_environment",
    "file_name",
    "is_damaged",
    "is_first",
    "is_running",
    "last_checkpoint",
    "named_choices",
    "new_folder",
    "overrides_to_resume",
    "parse_yaml",
    "process_number",
    "read_choices",
    "read_config",
    "read_curves",
    "read_overrides",
    "read_run",
    "read_sweep",
    "remove_parts",
    "replacing",
    "shortened",
    "started_processes",
    "visible",
    "whole_checkpoints",
    "withdraw",
    "write_checkpoint",
    "write_config",
    "write_curves",
    "write_run",
    "write_sweep",
    "write_text",
]
