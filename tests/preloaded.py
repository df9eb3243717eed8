"""What processes of tests find imported: the command line and all public classes."""

from __future__ import annotations

from lightning_modules.commands.front.lightning_cli import import_public_classes

import_public_classes()
