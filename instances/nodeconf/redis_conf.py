"""Reading and editing redis.conf: the door to the conf_* modules.

`effective` tells what a server would read; `edit` changes one file as little as possible and says
in a baseline what stood there; `restore` puts that back; `diff` shows the change, secrets masked.
"""

from instances.nodeconf.conf_baseline import EMPTY as EMPTY_BASELINE
from instances.nodeconf.conf_baseline import Baseline, merge_baselines
from instances.nodeconf.conf_diff import DiffLine, diff, mask_line
from instances.nodeconf.conf_edit import Edit, edit, without_effect
from instances.nodeconf.conf_file import CUMULATIVE, ConfigFile, Line, canonical
from instances.nodeconf.conf_grammar import ConfigSyntaxError, quote_argument, split_arguments
from instances.nodeconf.conf_restore import Restored, restore
from instances.nodeconf.conf_tree import (
    ConfigTree,
    Problem,
    Setting,
    Source,
    effective,
    parse_command_line,
)

__all__ = [
    "CUMULATIVE",
    "EMPTY_BASELINE",
    "Baseline",
    "ConfigFile",
    "ConfigSyntaxError",
    "ConfigTree",
    "DiffLine",
    "Edit",
    "Line",
    "Problem",
    "Restored",
    "Setting",
    "Source",
    "canonical",
    "diff",
    "edit",
    "effective",
    "mask_line",
    "merge_baselines",
    "parse_command_line",
    "quote_argument",
    "restore",
    "split_arguments",
    "without_effect",
]
