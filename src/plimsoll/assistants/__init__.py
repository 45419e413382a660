"""Answers that stand on passages: the prompt, the support of each sentence, refusals, and their judging. Pure."""
