"""A webhook of admission: a cluster refuses images and models that no trusted key has signed."""
