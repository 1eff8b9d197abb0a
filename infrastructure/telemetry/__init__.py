"""What a process tells about itself: logs always; traces and metrics where somebody collects them."""

from infrastructure.telemetry.logs import configure, warn
from infrastructure.telemetry.observer import MachineObserver
from infrastructure.telemetry.providers import start, stop

__all__ = ["MachineObserver", "configure", "start", "stop", "warn"]
