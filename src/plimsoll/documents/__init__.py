"""YAML documents as values that know their places: for files that people write and correct."""
