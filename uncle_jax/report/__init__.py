"""Results as people read them: tables, pictures, the paper's numbers beside them."""
