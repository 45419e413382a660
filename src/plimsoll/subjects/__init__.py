"""Whose data it is: ids of people, where they stand in files of any format, and files without their rows."""
