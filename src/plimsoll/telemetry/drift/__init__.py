"""Drift of inputs and outputs from training, measured on streams in bounded memory and judged by pure functions.

reference   the distribution of each feature in training, as counts in bins
features    computes a reference from rows of training
binning     assigns values to bins
window      the same counts for live rows; windows can be merged
statistics  KS, PSI, Wasserstein, Jensen-Shannon and their probabilities, from counts
judging     compares a window with the reference and decides alarms; pure
onset       finds the time when a feature began to drift; pure
monitor     takes rows, closes windows, raises and clears alarms
feedback    joins late labels with predictions and measures their accuracy
watch       runs all of these for a served model version
"""
