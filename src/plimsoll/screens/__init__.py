"""Screens of the rows that a training is about to learn from: wrong labels, triggers, people, leaked tests."""
