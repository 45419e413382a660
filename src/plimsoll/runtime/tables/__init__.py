"""Tables in CSV and Parquet as the inputs of a model, one chunk of rows at a time, in bounded memory.

`table` opens a file, or a directory of parts, and yields chunks. `layout` decides once for the whole table which
columns the model's inputs have, and converts chunks with `plimsoll.runtime.conversion`.
"""
