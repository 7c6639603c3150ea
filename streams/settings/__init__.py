"""What can be set, and from where it is read: one TOML file, overridden by environment variables."""

from streams.settings.loading import load_settings
from streams.settings.sections import Settings

__all__ = ["Settings", "load_settings"]
