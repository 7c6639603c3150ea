"""From a profile to slates: sources propose, features describe, filters remove, scores order, selection decides."""
