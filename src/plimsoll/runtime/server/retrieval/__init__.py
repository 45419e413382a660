"""Search indexes as versions that the data plane serves: what a request is, and how it is answered."""
