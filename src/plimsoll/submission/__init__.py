"""The official conformance questionnaire: reads it, lints it, and fills it in from an evidence bundle."""
