"""`plimsoll erase`: finds a person in all that an application keeps, removes them, and signs what was done."""
