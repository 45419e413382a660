"""Strict conversion of values to the elements of a tensor, from text (CSV), Arrow (Parquet) and JSON. Pure.

A pair of column type and tensor type has one conversion, or none. The result equals the value: integers, booleans and
text exactly; a floating tensor gets its nearest number, and NaN for a missing value. Everything else is `BadCell`:

| value | BOOL | INT8 … UINT64 | FP16, FP32, FP64 | BYTES |
|---|---|---|---|---|
| text of CSV | `true`, `false`, 1, 0 | a whole number | a decimal number | the text, also an empty one |
| Parquet: booleans, integers, floats, decimals | 1, 0 | a whole number | a number | no |
| Parquet: text, UTF-8 in binary columns | no | no | no | the text |
| Parquet: dates, times, lists, structures | no | no | no | no |
| JSON | `true`, `false` | an integer | a number | a string |
| missing | no | no | NaN | no |

Numbers outside the range of the tensor type are no conversion, and neither are infinities.
"""
