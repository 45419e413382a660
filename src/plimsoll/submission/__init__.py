"""The official questionnaire: read, judged by its rules, and filled in from a bundle."""
