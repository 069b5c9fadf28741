"""A run as one page: one module a section, each from records to what its template shows."""
