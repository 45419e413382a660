"""Drift of inputs and outputs against the training reference: streaming, in bounded memory, judged by pure functions.

reference   what each feature looked like in training, as counts
binning     values to the places of those counts
window      the same counts of live rows; windows add up
statistics  KS, PSI, Wasserstein, Jensen-Shannon, and their probabilities, from counts
judging     reference and windows to comparisons and alarms; pure
onset       since when a feature is not what it was; pure
monitor     rows in, windows closed, alarms raised and cleared
feedback    late labels joined to predictions, and the accuracy they show
"""
