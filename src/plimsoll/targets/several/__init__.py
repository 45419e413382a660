"""Several targets as one: each step is carried out on its own, and results travel between them."""
